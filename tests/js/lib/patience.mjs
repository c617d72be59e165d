// How long a test waits for what has to come.
//
// A limit of time is there to end a test that hangs, and is given for a quiet machine; how fast anything is belongs to the bench. So
// each is multiplied, and a slow machine that compiles meanwhile gets through as well.
const PATIENCE = Number(process.env.COFFER_PATIENCE ?? 4);
if (!(PATIENCE > 0)) throw new Error('COFFER_PATIENCE must be a number above 0: what limits of time are multiplied by');

/** A limit of time for the machine that we are on, ms. */
export const patient = (milliseconds) => milliseconds * PATIENCE;
