import { failureMark, type FailureMark } from './failure-mark.js';

/** A dialect says what this answer means, whatever its status. */
const mark = failureMark();

export const markDeclared: FailureMark['note'] = mark.note;
export const isDeclared: FailureMark['isNoted'] = mark.isNoted;
