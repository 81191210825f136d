/** Statuses that may pass by themselves: timeouts, too many requests, and a server's own troubles apart from those that it will always have. */
export function isPassingStatus(status: number): boolean {
  return status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 505);
}
