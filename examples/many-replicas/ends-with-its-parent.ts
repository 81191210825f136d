/** Loaded into each replica of the demo before the replica itself: however the demo ends, even by SIGKILL, no replica outlives it. */
process.on('disconnect', () => { process.exit(); });
// Listening for its end alone is no reason to go on.
process.channel?.unref();
