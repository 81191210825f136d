/** One measurement, in a process of its own. */
import { measurements } from '../measurements/index.js';
import { job } from '../processes/job.js';

await job(async (name: string, progress) => {
  const entry = measurements.get(name);
  if (entry === undefined) throw new Error(`no measurement is called ${name}`);
  const { default: measure } = await entry.load();
  return measure(progress);
});
