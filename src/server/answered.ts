import { failureMark, type FailureMark } from './failure-mark.js';

/** An answer had come, though nobody knows what it says: it was not read in time. */
const mark = failureMark();

export const markAnswered: FailureMark['note'] = mark.note;
export const isAnswered: FailureMark['isNoted'] = mark.isNoted;
