/* The enclave: one inline for each command, as enclave_core/authority has it.
 *
 * MAY_x is the command's check and x its event. A refused command changes nothing, so it is no step
 * at all. Every safeguard can be taken away by its own switch, -DNO_...; the rule must then break.
 */

/* ---- ApplyEvents (authority/events.cc) */
#ifdef NO_EVENT_MEMORY
#define SEEN(m, e) 0
#else
#define SEEN(m, e) (s[m].events & BIT(e))
#endif
#ifdef NO_RECIPIENT_CHECK
#define RECIPIENT_FITS(m, a, to) 1
#else
#define RECIPIENT_FITS(m, a, to) (s[m].recipient[a] == 0 || s[m].recipient[a] == to)
#endif
#define MAY_CREDIT(m, e, to) (!SEEN(m, e) && RECIPIENT_FITS(m, (e) % ACCOUNTS, to))

inline credit(n, e, to) {
  s[MEMORY(n)].recipient[e % ACCOUNTS] = to;
  s[MEMORY(n)].credited[e % ACCOUNTS] = s[MEMORY(n)].credited[e % ACCOUNTS] + CREDIT_OF(e);
  s[MEMORY(n)].available[e % ACCOUNTS] = s[MEMORY(n)].available[e % ACCOUNTS] + CREDIT_OF(e);
  s[MEMORY(n)].events = s[MEMORY(n)].events | BIT(e);
  ever_credited = ever_credited | BIT(e);
  sum_ = 0;
  for (i_ : 0 .. EVENTS - 1) {
    if
    :: (s[MEMORY(n)].events & BIT(i_)) && i_ % ACCOUNTS == e % ACCOUNTS -> sum_ = sum_ + CREDIT_OF(i_)
    :: else
    fi
  }
  require(I7_an_event_counts_once, s[MEMORY(n)].credited[e % ACCOUNTS] == sum_);
  dirty[n] = 1
}

/* ---- PreparePayout (authority/payout_commands.cc): funds and a nonce are taken before anything is signed */
#ifdef NO_SEALED_NONCE
#define NEXT_NONCE(m) chain_nonce    /* what the host reads on the chain */
#else
#define NEXT_NONCE(m) s[m].next_nonce
#endif
#define MAX_NONCE 7
#define MAY_PREPARE(m, accounts, most) \
  (s[m].payouts < PAYOUTS && s[m].next_nonce < MAX_NONCE && CAN_PAY(m, 0, accounts, most) && CAN_PAY(m, ACCOUNTS - 1, accounts, most))
#define CAN_PAY(m, a, accounts, most) (!((accounts) & BIT(a)) || (s[m].available[a] >= (most) && s[m].available[a] > 0))

inline prepare(n, of_kind, accounts, most) {   /* most: wei, 0 is all there is */
  p_ = s[MEMORY(n)].payouts;
  s[MEMORY(n)].payouts = p_ + 1;
  s[MEMORY(n)].kind[p_] = of_kind;
  s[MEMORY(n)].round[p_] = chain_round;
  s[MEMORY(n)].pending[p_] = NEXT_NONCE(MEMORY(n)) + 1;
  s[MEMORY(n)].next_nonce = s[MEMORY(n)].next_nonce + 1;
  for (i_ : 0 .. ACCOUNTS - 1) {
    if
    :: accounts & BIT(i_) ->
       j_ = p_ * ACCOUNTS + i_;
       amount_ = ((most) == 0 -> s[MEMORY(n)].available[i_] : (most));
       s[MEMORY(n)].item[j_] = OPEN;
       s[MEMORY(n)].amount[j_] = amount_;
       if
       :: of_kind == KIND_TICKETS ->
          s[MEMORY(n)].sender_nonce[j_] = s[MEMORY(n)].next_ticket;
          s[MEMORY(n)].next_ticket = s[MEMORY(n)].next_ticket + 1
       :: else
       fi;
#ifndef NO_RESERVATION
       s[MEMORY(n)].available[i_] = s[MEMORY(n)].available[i_] - amount_;
       s[MEMORY(n)].reserved[i_] = s[MEMORY(n)].reserved[i_] + amount_
#endif
    :: else
    fi
  }
  dirty[n] = 1
}

/* ---- the signer (payouts/signing.cc), whose answer is the event TransactionSigned */
#define IS_NEW(m, it) (s[m].item[it] == OPEN && s[m].ticket[it] == 0 && s[m].kind[(it) / ACCOUNTS] == KIND_TICKETS)
#define HAS_NEW(m, p) (IS_NEW(m, (p) * ACCOUNTS) || IS_NEW(m, (p) * ACCOUNTS + ACCOUNTS - 1))
#define MAY_SIGN(m, p) (s[m].pending[p] != 0 && txs < TXS && (tickets + ACCOUNTS <= TICKETS || !HAS_NEW(m, p)))

inline make_ticket(m, it) {   /* RFC 6979 and a derived recipientRand: the same content is the same ticket */
  found_ = tickets;
  for (k_ : 0 .. TICKETS - 1) {
    if
    :: k_ < tickets && t_sender_nonce[k_] == s[m].sender_nonce[it] && t_amount[k_] == s[m].amount[it] &&
       t_account[k_] == (it) % ACCOUNTS && t_recipient[k_] == s[m].recipient[(it) % ACCOUNTS] &&
       t_round[k_] == s[m].round[(it) / ACCOUNTS] -> found_ = k_
    :: else
    fi
  }
  if
  :: found_ == tickets ->
     tickets = tickets + 1;
     t_sender_nonce[found_] = s[m].sender_nonce[it];
     t_amount[found_] = s[m].amount[it];
     t_account[found_] = (it) % ACCOUNTS;
     t_recipient[found_] = s[m].recipient[(it) % ACCOUNTS];
     t_round[found_] = s[m].round[(it) / ACCOUNTS]
  :: else
  fi;
  s[m].ticket[it] = found_ + 1
}

inline sign(n, p) {
  sum_ = 0;      /* the transaction's tickets: those of the items that are open */
  amount_ = 0;
  j_ = 0;        /* a transfer's account */
  for (i_ : (p) * ACCOUNTS .. (p) * ACCOUNTS + ACCOUNTS - 1) {
    if
    :: s[MEMORY(n)].item[i_] == OPEN && s[MEMORY(n)].kind[p] == KIND_TICKETS ->
       if
       :: s[MEMORY(n)].ticket[i_] == 0 -> make_ticket(MEMORY(n), i_)
       :: else
       fi;
       sum_ = sum_ | BIT(s[MEMORY(n)].ticket[i_] - 1)
    :: s[MEMORY(n)].item[i_] != NO_ITEM && s[MEMORY(n)].kind[p] == KIND_TRANSFER ->
       amount_ = s[MEMORY(n)].amount[i_];
       j_ = i_ % ACCOUNTS
    :: else
    fi
  }
  for (i_ : (p) * ACCOUNTS .. (p) * ACCOUNTS + ACCOUNTS - 1) {   /* nothing is open: the nonce is used up all the same */
    if
    :: sum_ == 0 && amount_ == 0 && s[MEMORY(n)].ticket[i_] != 0 -> sum_ = BIT(s[MEMORY(n)].ticket[i_] - 1)
    :: else
    fi
  }
  found_ = txs;
  for (t_ : 0 .. TXS - 1) {
    if
    :: t_ < txs && x_nonce[t_] == s[MEMORY(n)].pending[p] - 1 && x_fee[t_] == s[MEMORY(n)].pending_fee[p] &&
       x_tickets[t_] == sum_ && x_amount[t_] == amount_ && x_account[t_] == j_ -> found_ = t_
    :: else
    fi
  }
  if
  :: found_ == txs ->
     txs = txs + 1;
     x_nonce[found_] = s[MEMORY(n)].pending[p] - 1;
     x_fee[found_] = s[MEMORY(n)].pending_fee[p];
     x_tickets[found_] = sum_;
     x_amount[found_] = amount_;
     x_account[found_] = j_
  :: else
  fi;
  s[MEMORY(n)].pending[p] = 0;
  s[MEMORY(n)].attempts[p] = s[MEMORY(n)].attempts[p] | BIT(found_);
  sum_ = 0;      /* a bump can be signed when its nonce is mined already */
  for (t_ : 0 .. TXS - 1) {
    if
    :: (s[MEMORY(n)].mined[p] & BIT(t_)) && x_nonce[t_] == x_nonce[found_] -> sum_ = 1
    :: else
    fi
  }
  if
  :: sum_ == 0 -> s[MEMORY(n)].waiting[p] = s[MEMORY(n)].waiting[p] | BIT(x_nonce[found_])
  :: else
  fi;
  for (i_ : 0 .. PAYOUTS - 1) {
    for (t_ : 0 .. TXS - 1) {
      require(I3_one_nonce_one_payout,
              i_ == (p) || !(s[MEMORY(n)].attempts[i_] & BIT(t_)) || x_nonce[t_] != x_nonce[found_])
    }
  }
  dirty[n] = 1
}

/* ---- BumpTransaction: the same nonce, higher fees */
#define MAY_BUMP(m, p) (s[m].pending[p] == 0 && s[m].waiting[p] != 0 && s[m].pending_fee[p] + 1 < FEES)

inline bump(n, p) {
  found_ = 0;   /* the oldest nonce that waits holds up the others */
  do
  :: s[MEMORY(n)].waiting[p] & BIT(found_) -> break
  :: else -> found_ = found_ + 1
  od;
#ifdef NO_BUMP_UNDER_ITS_NONCE
  found_ = s[MEMORY(n)].next_nonce;
  s[MEMORY(n)].next_nonce = found_ + 1;
#endif
  s[MEMORY(n)].pending[p] = found_ + 1;
  s[MEMORY(n)].pending_fee[p] = s[MEMORY(n)].pending_fee[p] + 1;
  dirty[n] = 1
}

/* ---- RetryPayout: what is open, under the next nonce */
#define IS_OPEN(m, it) (s[m].item[it] == OPEN)
#define ANY_OPEN(m, p) (IS_OPEN(m, (p) * ACCOUNTS) || IS_OPEN(m, (p) * ACCOUNTS + ACCOUNTS - 1))
#ifdef NO_TRANSFER_UNDER_ONE_NONCE
#define MAY_BE_SENT_AGAIN(m, p) 1
#else
#define MAY_BE_SENT_AGAIN(m, p) (s[m].kind[p] == KIND_TICKETS)
#endif
#define MAY_RETRY(m, p) (s[m].pending[p] == 0 && s[m].attempts[p] != 0 && s[m].waiting[p] == 0 && \
  ANY_OPEN(m, p) && MAY_BE_SENT_AGAIN(m, p) && s[m].next_nonce < MAX_NONCE)

inline new_ticket(m, it) {   /* what no honest version does: other tickets for the same funds */
  s[m].ticket[it] = 0;
  s[m].sender_nonce[it] = s[m].next_ticket;
  s[m].next_ticket = s[m].next_ticket + 1
}

inline retry(n, p) {
  s[MEMORY(n)].pending[p] = NEXT_NONCE(MEMORY(n)) + 1;
  s[MEMORY(n)].next_nonce = s[MEMORY(n)].next_nonce + 1;
  s[MEMORY(n)].pending_fee[p] = 0;
#ifdef NO_TICKETS_FOR_LIFE
  for (i_ : (p) * ACCOUNTS .. (p) * ACCOUNTS + ACCOUNTS - 1) {
    if
    :: s[MEMORY(n)].item[i_] == OPEN -> new_ticket(MEMORY(n), i_)
    :: else
    fi
  }
#endif
  dirty[n] = 1
}

/* ---- ReportReceipt (authority/receipts.cc) */
#ifdef NO_CONFIRMATION_REMEMBERED
#define FREE(m, it) (s[m].item[it] == OPEN || s[m].item[it] == PAID)
#define MAY_BE_MINED(m, p, t) (s[m].attempts[p] & BIT(t))
#else
#define FREE(m, it) (s[m].item[it] == OPEN)
#define MAY_BE_MINED(m, p, t) \
  ((s[m].attempts[p] & BIT(t)) && !(s[m].mined[p] & BIT(t)) && (s[m].waiting[p] & BIT(x_nonce[t])))
#endif

inline settle(n, it, wei, by) {
  require(I4_confirmed_twice_changes_nothing, s[MEMORY(n)].item[it] == OPEN);
#ifdef NO_TRANSFERRED_AMOUNT
  amount_ = s[MEMORY(n)].amount[it];    /* the face value, whatever came */
#else
  amount_ = wei;
#endif
  s[MEMORY(n)].item[it] = PAID;
  s[MEMORY(n)].item_paid[it] = amount_;
  s[MEMORY(n)].paid_by[it] = by;
  s[MEMORY(n)].paid[(it) % ACCOUNTS] = s[MEMORY(n)].paid[(it) % ACCOUNTS] + amount_;
#ifdef NO_RESERVATION
  s[MEMORY(n)].available[(it) % ACCOUNTS] =
    (s[MEMORY(n)].available[(it) % ACCOUNTS] < amount_ -> 0 : s[MEMORY(n)].available[(it) % ACCOUNTS] - amount_);
#else
  s[MEMORY(n)].reserved[(it) % ACCOUNTS] = s[MEMORY(n)].reserved[(it) % ACCOUNTS] - s[MEMORY(n)].amount[it];
  s[MEMORY(n)].available[(it) % ACCOUNTS] = s[MEMORY(n)].available[(it) % ACCOUNTS] + s[MEMORY(n)].amount[it] - amount_;
  conserved(n, (it) % ACCOUNTS);
#endif
  require(I3_books_never_say_more_than_credited,
          s[MEMORY(n)].paid[(it) % ACCOUNTS] <= s[MEMORY(n)].credited[(it) % ACCOUNTS]);
  dirty[n] = 1
}

inline conserved(n, a) {
  require(I2_conservation, s[MEMORY(n)].credited[a] ==
          s[MEMORY(n)].available[a] + s[MEMORY(n)].reserved[a] + s[MEMORY(n)].paid[a] &&
          s[MEMORY(n)].paid[a] <= s[MEMORY(n)].credited[a])
}

inline mark_mined(n, p, t) {
  s[MEMORY(n)].mined[p] = s[MEMORY(n)].mined[p] | BIT(t);
  s[MEMORY(n)].mined_again[p] = (s[MEMORY(n)].mined_again[p] & (255 - BIT(t))) | (x_again & BIT(t));
  s[MEMORY(n)].waiting[p] = s[MEMORY(n)].waiting[p] & (255 - BIT(x_nonce[t]));
  sum_ = 0;
  for (t_ : 0 .. TXS - 1) {
    if
    :: (s[MEMORY(n)].mined[p] & BIT(t_)) && x_nonce[t_] == x_nonce[t] -> sum_ = sum_ + 1
    :: else
    fi
  }
  require(I4_a_nonce_is_mined_once, sum_ == 1);
  dirty[n] = 1
}

/* ---- ReportReorg: what this transaction had paid is open again, with the same tickets */
#define MAY_REOPEN(m, it) (s[m].available[(it) % ACCOUNTS] >= s[m].amount[it] - s[m].item_paid[it])

inline reopen(n, it) {
#ifndef NO_REOPENING
  s[MEMORY(n)].item[it] = OPEN;
  s[MEMORY(n)].paid[(it) % ACCOUNTS] = s[MEMORY(n)].paid[(it) % ACCOUNTS] - s[MEMORY(n)].item_paid[it];
  s[MEMORY(n)].available[(it) % ACCOUNTS] =
    s[MEMORY(n)].available[(it) % ACCOUNTS] - (s[MEMORY(n)].amount[it] - s[MEMORY(n)].item_paid[it]);
  s[MEMORY(n)].reserved[(it) % ACCOUNTS] = s[MEMORY(n)].reserved[(it) % ACCOUNTS] + s[MEMORY(n)].amount[it];
  s[MEMORY(n)].item_paid[it] = 0;
  s[MEMORY(n)].paid_by[it] = 0;
  conserved(n, (it) % ACCOUNTS);
#ifdef NO_SAME_TICKETS_AFTER_REORG
  new_ticket(MEMORY(n), it);
#endif
#endif
  dirty[n] = 1
}

inline unmine(n, p, t) {
  s[MEMORY(n)].mined[p] = s[MEMORY(n)].mined[p] & (255 - BIT(t));
  s[MEMORY(n)].waiting[p] = s[MEMORY(n)].waiting[p] | BIT(x_nonce[t]);
  dirty[n] = 1
}

/* ---- VoidTickets: only with proof that the ticket can no longer pay */
#ifdef NO_PROOF_OF_EXPIRY
#define EXPIRED(k) 1
#else
#define EXPIRED(k) (chain_round > t_round[k])
#endif
#ifdef NO_PROOF_OF_NO_USE
#define UNUSED(k) 1
#else
#define UNUSED(k) (used[k] == 0)
#endif
#define MAY_VOID(m, it) (s[m].item[it] == OPEN && s[m].pending[(it) / ACCOUNTS] == 0 && s[m].ticket[it] != 0 && \
  EXPIRED(s[m].ticket[it] - 1) && UNUSED(s[m].ticket[it] - 1))

inline void_ticket(n, it) {
  s[MEMORY(n)].item[it] = VOID;
  s[MEMORY(n)].reserved[(it) % ACCOUNTS] = s[MEMORY(n)].reserved[(it) % ACCOUNTS] - s[MEMORY(n)].amount[it];
  s[MEMORY(n)].available[(it) % ACCOUNTS] = s[MEMORY(n)].available[(it) % ACCOUNTS] + s[MEMORY(n)].amount[it];
  conserved(n, (it) % ACCOUNTS);
  dirty[n] = 1
}
