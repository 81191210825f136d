import type { ServerResponse } from 'node:http';
import { give, Hold, type Answer } from './answers.js';

/** An answer, or a function of the request that makes one. */
export type Scripted<Request> = Answer | ((request: Request) => Answer | Promise<Answer>);

/** What one endpoint answers: first the queue, then the standing answer, then the server's own. */
export class Script<Request> {
  readonly #usual: Scripted<Request>;
  #standing: Scripted<Request> | undefined;
  #queue: Scripted<Request>[] = [];

  constructor(usual: Scripted<Request>) {
    this.#usual = usual;
  }

  /** One answer for each of the next requests, in this order. */
  answersNext(...answers: Scripted<Request>[]): void {
    this.#queue.push(...answers);
  }

  answersEvery(answer: Scripted<Request>): void {
    this.#standing = answer;
  }

  /** Forgets the queue and the standing answer. */
  answersAsUsual(): void {
    this.#queue = [];
    this.#standing = undefined;
  }

  /** Keeps the next request waiting. */
  hold(): Hold {
    const hold = new Hold();
    this.answersNext(hold);
    return hold;
  }

  async play(request: Request, response: ServerResponse): Promise<void> {
    const levels = [this.#queue.shift(), this.#standing, this.#usual].filter((level) => level !== undefined);
    const otherwise = async (): Promise<Answer> => {
      const answer = levels.shift();
      if (answer === undefined) throw new Error('no answer is left below the usual one');
      return typeof answer === 'function' ? answer(request) : answer;
    };
    await give(await otherwise(), { response, otherwise });
  }
}
