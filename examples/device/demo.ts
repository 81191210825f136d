/**
 * The device with everything that it needs, on this machine only: `npm run demo:device`. A user is played; with `-- --wait` that is you, in a browser on this machine.
 * Exits with 1 if the API takes the user for somebody else.
 */
import { EventEmitter, once } from 'node:events';
import { UserAgent } from '../shared-servers/user-agent.js';
import { connect, invitation, report, startLogin } from './device.js';
import { startSurroundings } from './start-surroundings.js';

const log = (line: string): void => { console.log(line); };
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { stop.abort(); });

const surroundings = await startSurroundings();
const tokens = connect(surroundings.settings);
try {
  const login = await startLogin(tokens);
  log(invitation(login));
  const asked = new EventEmitter();
  const completed = login.completed({ signal: stop.signal, onPending: () => asked.emit('pending') });
  await Promise.race([once(asked, 'pending'), completed]);
  log('  The server says that nobody has approved it yet (authorization_pending).');
  if (!process.argv.includes('--wait')) {
    log('  Ada Lovelace scans it with her phone, sees the same code there, signs in, and allows it.');
    await new UserAgent().approveDevice(login.verificationUriComplete ?? '', login.userCode ?? '', 'Ada Lovelace');
  }
  const { session } = await completed;
  const { name, subject, status, orders } = await report(session, surroundings.settings);
  log(`  ${name} has signed in. The API answered ${status} ${orders}\n`);
  if (status !== 200 || !orders.includes(`"${subject}"`)) process.exitCode = 1;
} catch (error) {
  if (!stop.signal.aborted) throw error;
  process.exitCode = 130;
} finally {
  await tokens.close();
  await surroundings.close();
}
