/* Sealed before released (actors/enclave/sealer.cc), the storage, crashes, and what a host may load. */

#define ALL_ATTEMPTS(m) (s[m].attempts[0] | s[m].attempts[(PAYOUTS > 1) * 1] | s[m].attempts[(PAYOUTS > 2) * 2] | s[m].attempts[PAYOUTS - 1])

/* What the host is told comes from state `m`, and is only what the storage has. */
inline release(n, m) {
#ifndef NO_ASSERTION_OF_I5
  require(I5_nothing_released_that_is_not_stored,
          (ALL_ATTEMPTS(m) & (255 - released) & (255 - stored)) == 0);
#endif
  released = released | ALL_ATTEMPTS(m);
  acknowledged = acknowledged | s[m].events;
  for (i_ : 0 .. ACCOUNTS - 1) {
    if
    :: fixed_recipient[i_] == 0 -> fixed_recipient[i_] = s[m].recipient[i_]
    :: else
    fi;
    require(I1_recipient_is_fixed, fixed_recipient[i_] == s[m].recipient[i_] || s[m].recipient[i_] == 0)
  };
  skip   /* a d_step must not end with a loop */
}

inline release_unsealed(n) {
#ifdef NO_SEAL_BEFORE_RELEASE
  release(n, MEMORY(n))
#else
  skip
#endif
}

#ifdef NO_RESUMED_SIGNATURES
byte lost[ENCLAVES];
#define CAN_BE_RESUMED(n, p) (!(lost[n] & BIT(p)))
#else
#define CAN_BE_RESUMED(n, p) 1
#endif

#ifdef COUNTER
#define IDENTITY_IS(m, number, hash) (s[m].sequence == (number) && s[m].writer == (hash))
#define IS_HEAD(m) IDENTITY_IS(m, head_sequence, head_writer)
/* Stored when the enclave died, the counter not moved yet. */
#define FOLLOWS_HEAD(m) (s[m].sequence == head_sequence + 1 && s[m].previous_writer == head_writer)
#ifdef NO_COUNTER_AT_LOAD
#define MAY_LOAD(m) 1
#else
#define MAY_LOAD(m) (IS_HEAD(m) || FOLLOWS_HEAD(m))
#endif
#ifdef NO_COUNTER_BEFORE_RELEASE
#define MAY_RELEASE(n) (flight[n] >= 2)
#else
#define MAY_RELEASE(n) (flight[n] == 3)
#endif
#define LAST_STEP 3
#else
#define LAST_STEP 2
#define MAY_LOAD(m) 1
#define MAY_RELEASE(n) (flight[n] == 2)
#endif

#ifdef NO_SEAL_BEFORE_RELEASE
#define NEWS(m) 0
#else
#define NEWS(m) ((ALL_ATTEMPTS(m) & (255 - released)) || (s[m].events & (255 - acknowledged)))
#endif
#ifdef COUNTER
#define MAY_START(n) (boots <= CRASHES + ENCLAVES)   /* one that lost the race for the counter may try again */
#else
#define MAY_START(n) 1
#endif

inline seal(n) {
#ifdef COUNTER
  s[MEMORY(n)].previous_writer = s[MEMORY(n)].writer;
  s[MEMORY(n)].writer = boot[n];
  s[MEMORY(n)].sequence = s[MEMORY(n)].sequence + 1;
#endif
  copy(FLIGHT(n), MEMORY(n));
  dirty[n] = 0;
  flight[n] = 1
}

#ifndef SURE_STORAGE
/* What died with the enclave and nobody has seen is nothing: its place in the tables is free again. */
#ifdef FORK
#define UNSEEN(t) 0
#else
#define UNSEEN(t) (!(released & BIT(t)) && !(ALL_ATTEMPTS(DISK(0)) & BIT(t)) && !(ALL_ATTEMPTS(KEPT) & BIT(t)))
#endif
#define IN_TX(t, k) ((t) < TXS && (x_tickets[t] & BIT(k)))
#define IN_ANY_TX(k) (IN_TX(0, k) || IN_TX(1, k) || IN_TX(2, k) || IN_TX(3, k) || \
                      IN_TX(4, k) || IN_TX(5, k) || IN_TX(6, k) || IN_TX(7, k))

inline forget_unseen() {
  do
  :: txs > 0 && UNSEEN(txs - 1) ->
     txs = txs - 1;
     stored = stored & (255 - BIT(txs));
     x_nonce[txs] = 0; x_fee[txs] = 0; x_tickets[txs] = 0; x_amount[txs] = 0; x_account[txs] = 0
  :: else -> break
  od;
  do
  :: tickets > 0 && !IN_ANY_TX(tickets - 1) ->
     tickets = tickets - 1;
     t_sender_nonce[tickets] = 0; t_amount[tickets] = 0; t_account[tickets] = 0; t_recipient[tickets] = 0; t_round[tickets] = 0
  :: else -> break
  od
}

inline written(n) {
  copy(DISK(n), FLIGHT(n));
  clear(FLIGHT(n));
  stored = stored | ALL_ATTEMPTS(DISK(n));
  flight[n] = 2
}

inline stop(n) {
  clear(MEMORY(n));
  clear(FLIGHT(n));
  up[n] = 0;
  dirty[n] = 0;
  flight[n] = 0;
  forget_unseen();
  skip
}

inline start(n, from) {
  copy(MEMORY(n), from);
  up[n] = 1;
#ifdef NO_RESUMED_SIGNATURES
  lost[n] = 0;
  for (i_ : 0 .. PAYOUTS - 1) {
    if
    :: s[from].pending[i_] != 0 -> lost[n] = lost[n] | BIT(i_)
    :: else
    fi
  }
#endif
#ifdef COUNTER
  boots = boots + 1;
  boot[n] = boots;
  if
  :: FOLLOWS_HEAD(from) -> head_sequence = s[from].sequence; head_writer = s[from].writer
  :: else
  fi;
  require(I6_no_older_state_is_loaded, IS_HEAD(from));
#endif
  skip
}

#endif

/* Commands may pile up in memory while a record is on its way; or, to save states, each waits for the one before. */
#ifdef ONE_AT_A_TIME
#define READY(n) (up[n] && !dirty[n] && flight[n] == 0)
#else
#define READY(n) up[n]
#endif

#ifdef SURE_STORAGE
proctype Storage(byte n) {
  do
  :: d_step { dirty[n] -> dirty[n] = 0; stored = stored | ALL_ATTEMPTS(MEMORY(n)); release(n, MEMORY(n)) }
  od
}
#else
proctype Storage(byte n) {
  do
  :: d_step { up[n] && dirty[n] && flight[n] == 0 -> seal(n) }
  :: d_step { flight[n] == 1 -> written(n) }
#ifdef COUNTER
  :: d_step {
       flight[n] == 2 && FOLLOWS_HEAD(DISK(n)) ->
       head_sequence = s[DISK(n)].sequence; head_writer = s[DISK(n)].writer; flight[n] = 3
     }
  :: d_step { flight[n] == 2 && !FOLLOWS_HEAD(DISK(n)) -> stop(n) }   /* another one was first */
#ifdef NO_COUNTER_BEFORE_RELEASE
  :: d_step { flight[n] == 2 && (ALL_ATTEMPTS(DISK(n)) & (255 - released)) -> release(n, DISK(n)) }
#endif
#endif
  :: d_step { up[n] && MAY_RELEASE(n) && flight[n] == LAST_STEP -> release(n, DISK(n)); flight[n] = 0 }
  /* An answer was lost: asked again, the same bytes come, when nothing waits to be stored. */
  :: d_step { up[n] && !dirty[n] && flight[n] == 0 && NEWS(MEMORY(n)) -> release(n, MEMORY(n)) }
#if CRASHES
  :: d_step { up[n] && crashes < CRASHES -> crashes = crashes + 1; stop(n) }
#endif
#ifdef ROLLBACK
  :: d_step { !kept && flight[n] == 1 -> kept = 1; copy(KEPT, FLIGHT(n)); stored = stored | ALL_ATTEMPTS(KEPT) }
  :: d_step { !kept && flight[n] != 1 -> kept = 1; copy(KEPT, DISK(n)) }
  :: d_step { !up[n] && MAY_START(n) && MAY_LOAD(KEPT) -> start(n, KEPT) }
#endif
#ifdef FORK
  :: d_step { n == 1 && !forked -> forked = 1; copy(DISK(1), DISK(0)) }
#endif
  :: d_step { !up[n] && MAY_START(n) && MAY_LOAD(DISK(n)) -> start(n, DISK(n)) }
  od
}
#endif
