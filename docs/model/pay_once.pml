/* The pay-once protocol as a model for spin: README.md says what stands for what. run.py, in tests/model,
 * sets the sizes and switches, and knows which of them must fail.
 */
#include "state.pml"
#include "enclave.pml"
#include "storage.pml"
#include "chain.pml"
#include "host.pml"

/* ---- an honest host: when nothing can happen any more, everybody has been paid and the books say so */
#define IN_THE_BOOKS(a) (s[MEMORY(0)].credited[a] == ALL_CREDITS(a))
#define AS_ON_THE_CHAIN(a) (s[MEMORY(0)].paid[a] == received[a])
#define IS_PAID(a) (received[a] == ALL_CREDITS(a))
#define EVERYBODY(says) (says(0) && says(ACCOUNTS - 1))

proctype End() {
  timeout ->
  d_step {
    require(END_every_credit_is_in_the_books, EVERYBODY(IN_THE_BOOKS));
    require(END_books_say_what_the_chain_paid, EVERYBODY(AS_ON_THE_CHAIN));
    require(END_every_credited_wei_is_paid, EVERYBODY(IS_PAID))
  }
}

#ifdef PROGRESS
/* It says again what it has said: a repetition, which changes nothing. */
proctype Repeater() {
  bit again;
  do
  :: again = 1 - again
  od
}
ltl every_credited_wei_is_paid_for_good { <>[] (EVERYBODY(IN_THE_BOOKS) && EVERYBODY(AS_ON_THE_CHAIN) && EVERYBODY(IS_PAID)) }
#endif

init {
  byte n, p, t;
  atomic {
    deposit = DEPOSIT;
    up[0] = 1;
    for (t : 0 .. TXS - 1) { run Miner(t) }
#ifndef TRANSFERS
    for (t : 0 .. TICKETS - 1) { run Stranger(t) }
#endif
    run Chain();
    for (n : 0 .. ENCLAVES - 1) {
      run Storage(n);
      run Planner(n);
      for (t : 0 .. EVENTS - 1) { run Journal(n, t) }
      for (p : 0 .. PAYOUTS - 1) {
        run Driver(n, p);
        for (t : 0 .. TXS - 1) { run Watcher(n, p, t) }
      }
#ifndef TRANSFERS
      for (t : 0 .. ITEMS - 1) { run TicketWatcher(n, t) }
#endif
    }
#ifdef PROGRESS
    run Repeater();
#else
#if !defined(LIES) && !defined(ROLLBACK) && !defined(FORK) && !defined(NO_ASSERTION_AT_THE_END)
    run End();
#endif
#endif
    n = 0; p = 0; t = 0
  }
}
