import fc from 'fast-check';

// On CI the same cases every time; elsewhere new ones, with their seed printed where one fails.
if (process.env['CI'] !== undefined) fc.configureGlobal({ seed: 2026 });
