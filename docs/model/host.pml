/* The host. What it may ask, it may ask at any time, in any order and as often as it likes: the order of
 * steps is spin's to choose, so delay, loss, repetition and reordering need no code of their own.
 *
 * Honest: it tells what the chain did and asks for what helps. LIES: it also says what is not true.
 */

/* ---- the journal. An honest host sends a line until it is told that it is durable (actors/host/journal_tailer). */
#ifdef LIES
#define WANTED(n, e) 1
#else
#define WANTED(n, e) (!(acknowledged & BIT(e)))
#endif

proctype Journal(byte n; byte e) {
  do
  :: d_step {
       READY(n) && WANTED(n, e) && MAY_CREDIT(MEMORY(n), e, 1) ->
       credit(n, e, 1);
#ifdef NO_WAIT_FOR_ACKNOWLEDGEMENT
       acknowledged = acknowledged | BIT(e)
#endif
     }
#if RECIPIENTS > 1
#ifdef LIES
  :: d_step { READY(n) && MAY_CREDIT(MEMORY(n), e, 2) -> credit(n, e, 2) }
#endif
#ifdef NO_CHECK_BEFORE_REMEMBERING
  :: d_step {   /* a registry that is mistaken names another recipient: refused, but remembered */
       READY(n) && !SEEN(MEMORY(n), e) && s[MEMORY(n)].recipient[e % ACCOUNTS] == 1 ->
       s[MEMORY(n)].events = s[MEMORY(n)].events | BIT(e);
       dirty[n] = 1
     }
#endif
#endif
  od
}

/* ---- the planner */
#ifdef LIES
#define ENOUGH(m) 1
#else
#define ENOUGH(m) (deposit > 0)
#endif
#ifdef TRANSFERS
#define KIND KIND_TRANSFER
#else
#define KIND KIND_TICKETS
#endif

proctype Planner(byte n) {
  do
  :: d_step { READY(n) && ENOUGH(MEMORY(n)) && MAY_PREPARE(MEMORY(n), 1, 0) -> prepare(n, KIND, 1, 0) }
#if ACCOUNTS > 1
  :: d_step { READY(n) && ENOUGH(MEMORY(n)) && MAY_PREPARE(MEMORY(n), 2, 0) -> prepare(n, KIND, 2, 0) }
#ifndef TRANSFERS
  :: d_step { READY(n) && ENOUGH(MEMORY(n)) && MAY_PREPARE(MEMORY(n), 3, 0) -> prepare(n, KIND, 3, 0) }
#endif
#endif
#ifdef PARTS
  :: d_step { READY(n) && ENOUGH(MEMORY(n)) && s[MEMORY(n)].available[0] > 1 && MAY_PREPARE(MEMORY(n), 1, 1) -> prepare(n, KIND, 1, 1) }
#endif
  od
}

/* ---- the driver: one payout */
#define TICKET_OF(m, it) (s[m].ticket[it] - 1)
#define STILL_PAYS(m, it) (s[m].item[it] == OPEN && (s[m].ticket[it] == 0 || \
  (used[TICKET_OF(m, it)] == 0 && t_round[TICKET_OF(m, it)] >= chain_round && deposit > 0)))
#ifdef LIES
#define WORTH_IT(m, p) 1
#else
#define WORTH_IT(m, p) (STILL_PAYS(m, (p) * ACCOUNTS) || STILL_PAYS(m, (p) * ACCOUNTS + ACCOUNTS - 1))
#endif

proctype Driver(byte n; byte p) {
  do
  :: d_step { READY(n) && CAN_BE_RESUMED(n, p) && MAY_SIGN(MEMORY(n), p) -> sign(n, p); release_unsealed(n) }
#if FEES > 1
  :: d_step { READY(n) && MAY_BUMP(MEMORY(n), p) -> bump(n, p) }
#endif
  :: d_step { READY(n) && WORTH_IT(MEMORY(n), p) && MAY_RETRY(MEMORY(n), p) && txs < TXS -> retry(n, p) }
  od
}

/* ---- what the chain did with a transaction of payout p, reported as it is */
#define BY_OWN(m, it, t) (s[m].ticket[it] != 0 && used[TICKET_OF(m, it)] == (t) + 1)
#define SHORT(m, it) (transferred[TICKET_OF(m, it)] < s[m].amount[it])
#ifdef NO_FINAL_SHORTFALL
#define FINAL(by) 1
#else
#define FINAL(by) (newest != (by))
#endif
#define REPORTABLE(m, it, t) (!BY_OWN(m, it, t) || (FREE(m, it) && (!SHORT(m, it) || FINAL((t) + 1))))
#define ALL_REPORTABLE(m, p, t) (REPORTABLE(m, (p) * ACCOUNTS, t) && REPORTABLE(m, (p) * ACCOUNTS + ACCOUNTS - 1, t))
#define TRANSFER_OPEN(m, p) (s[m].kind[p] == KIND_TICKETS || ANY_OPEN(m, p))
#define GONE(m, p, t) ((s[m].mined[p] & BIT(t)) && (x_status[t] == 0 || ((s[m].mined_again[p] ^ x_again) & BIT(t))))
#define CAN_REOPEN(m, it, by) (s[m].item[it] != PAID || s[m].paid_by[it] != (by) || MAY_REOPEN(m, it))
#define ALL_CAN_REOPEN(m, p, t) (CAN_REOPEN(m, (p) * ACCOUNTS, (t) + 1) && CAN_REOPEN(m, (p) * ACCOUNTS + ACCOUNTS - 1, (t) + 1))

inline report_receipt(n, p, t) {
  for (i_ : (p) * ACCOUNTS .. (p) * ACCOUNTS + ACCOUNTS - 1) {
    if
#ifdef NO_LOGS_NEEDED
    :: x_status[t] == 1 && IS_OPEN(MEMORY(n), i_) && (x_tickets[t] & BIT(TICKET_OF(MEMORY(n), i_))) ->
       settle(n, i_, s[MEMORY(n)].amount[i_], (t) + 1)
#else
#ifdef NO_MATCH_BY_SENDER_NONCE
    :: IS_OPEN(MEMORY(n), i_) && x_tickets[t] != 0 ->   /* the next log is for the next item that is open */
       found_ = TICKETS;
       for (k_ : 0 .. TICKETS - 1) {
         if
         :: found_ == TICKETS && used[k_] == (t) + 1 && !(claimed_ & BIT(k_)) -> found_ = k_
         :: else
         fi
       }
       if
       :: found_ < TICKETS ->
          claimed_ = claimed_ | BIT(found_);
          sum_ = (transferred[found_] < s[MEMORY(n)].amount[i_] -> transferred[found_] : s[MEMORY(n)].amount[i_]);
          settle(n, i_, sum_, (t) + 1)
       :: else
       fi
#else
    :: BY_OWN(MEMORY(n), i_, t) -> settle(n, i_, transferred[TICKET_OF(MEMORY(n), i_)], (t) + 1)
#endif
#endif
    :: x_tickets[t] == 0 && x_status[t] == 1 && s[MEMORY(n)].item[i_] != NO_ITEM ->
       settle(n, i_, s[MEMORY(n)].amount[i_], (t) + 1)
    :: else
    fi
  }
  claimed_ = 0;
  mark_mined(n, p, t)
}

inline report_reorg(n, p, t) {
  for (i_ : (p) * ACCOUNTS .. (p) * ACCOUNTS + ACCOUNTS - 1) {
    if
    :: s[MEMORY(n)].item[i_] == PAID && s[MEMORY(n)].paid_by[i_] == (t) + 1 -> reopen(n, i_)
    :: else
    fi
  }
  unmine(n, p, t)
}

inline claim_paid(n, p, t) {   /* a receipt that was never: all that was open is paid */
  for (i_ : (p) * ACCOUNTS .. (p) * ACCOUNTS + ACCOUNTS - 1) {
    if
    :: IS_OPEN(MEMORY(n), i_) -> settle(n, i_, s[MEMORY(n)].amount[i_], (t) + 1)
    :: else
    fi
  }
  mark_mined(n, p, t)
}

proctype Watcher(byte n; byte p; byte t) {
  do
  :: d_step {
       READY(n) && x_status[t] != 0 && MAY_BE_MINED(MEMORY(n), p, t) && ALL_REPORTABLE(MEMORY(n), p, t) && TRANSFER_OPEN(MEMORY(n), p) ->
       report_receipt(n, p, t)
     }
#if REORGS
  :: d_step { READY(n) && GONE(MEMORY(n), p, t) && ALL_CAN_REOPEN(MEMORY(n), p, t) -> report_reorg(n, p, t) }
#endif
#ifdef LIES
  :: d_step { READY(n) && MAY_BE_MINED(MEMORY(n), p, t) && TRANSFER_OPEN(MEMORY(n), p) -> claim_paid(n, p, t) }
  :: d_step { READY(n) && MAY_BE_MINED(MEMORY(n), p, t) -> mark_mined(n, p, t) }   /* it failed, or no log is its own */
  :: d_step { READY(n) && (s[MEMORY(n)].mined[p] & BIT(t)) && ALL_CAN_REOPEN(MEMORY(n), p, t) -> report_reorg(n, p, t) }
#endif
  od
}

/* ---- what strangers did with the ticket of an item, and its end */
#define BY_STRANGER(m, it) (s[m].ticket[it] != 0 && used[TICKET_OF(m, it)] >= STRANGER)

proctype TicketWatcher(byte n; byte it) {
  do
  :: d_step {
       READY(n) && IS_OPEN(MEMORY(n), it) && BY_STRANGER(MEMORY(n), it) &&
       (!SHORT(MEMORY(n), it) || FINAL(used[TICKET_OF(MEMORY(n), it)])) ->
       settle(n, it, transferred[TICKET_OF(MEMORY(n), it)], used[TICKET_OF(MEMORY(n), it)])
     }
#if REORGS
  :: d_step {
       READY(n) && s[MEMORY(n)].item[it] == PAID && s[MEMORY(n)].paid_by[it] >= STRANGER && MAY_REOPEN(MEMORY(n), it) &&
       used[TICKET_OF(MEMORY(n), it)] != s[MEMORY(n)].paid_by[it] ->
       reopen(n, it)
     }
#endif
#if ROUNDS
  :: d_step { READY(n) && MAY_VOID(MEMORY(n), it) -> void_ticket(n, it) }
#endif
#ifdef NO_MATCH_BY_SENDER
  :: d_step {   /* somebody else's ticket with this senderNonce was redeemed */
       READY(n) && IS_OPEN(MEMORY(n), it) && s[MEMORY(n)].ticket[it] != 0 ->
       settle(n, it, s[MEMORY(n)].amount[it], STRANGER + 2 * TICKET_OF(MEMORY(n), it))
     }
#endif
#ifdef LIES
  :: d_step { READY(n) && IS_OPEN(MEMORY(n), it) && s[MEMORY(n)].ticket[it] != 0 ->
       settle(n, it, s[MEMORY(n)].amount[it], STRANGER + 2 * TICKET_OF(MEMORY(n), it)) }
  :: d_step { READY(n) && s[MEMORY(n)].item[it] == PAID && s[MEMORY(n)].paid_by[it] >= STRANGER && MAY_REOPEN(MEMORY(n), it) -> reopen(n, it) }
#ifdef NO_PROOF_OF_SHORTFALL
  :: d_step { READY(n) && IS_OPEN(MEMORY(n), it) && s[MEMORY(n)].ticket[it] != 0 -> settle(n, it, 0, STRANGER + 2 * TICKET_OF(MEMORY(n), it)) }
#endif
#endif
  od
}
