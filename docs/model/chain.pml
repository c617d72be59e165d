/* The chain: the account's nonce, the broker's rules for tickets, and what strangers and reorgs do. */

#define TRUE_CREDIT(a) (CREDIT_IF(0, a) + CREDIT_IF(1, a) + CREDIT_IF(2, a))
#define CREDIT_IF(e, a) (((e) < EVENTS && (e) % ACCOUNTS == (a) && (ever_credited & BIT(e))) * CREDIT_OF(e))
#define ALL_CREDITS(a) (ALL_OF(0, a) + ALL_OF(1, a) + ALL_OF(2, a))
#define ALL_OF(e, a) (((e) < EVENTS && (e) % ACCOUNTS == (a)) * CREDIT_OF(e))

inline pay(a, wei) {
  received[a] = received[a] + wei;
  require(I3_never_paid_more_than_credited, received[a] <= TRUE_CREDIT(a))
}

/* TicketBroker: a ticket pays once, before it expires, at most what the deposit has; and it is used up all the same. */
inline redeem(k, by) {
  if
  :: used[k] == 0 && chain_round <= t_round[k] ->
     used[k] = by;
     transferred[k] = (t_amount[k] < deposit -> t_amount[k] : deposit);
     deposit = deposit - transferred[k];
     pay(t_account[k], transferred[k])
  :: else
  fi
}

inline new_block(by) {
  if
  :: reorgs < REORGS -> newest = by
  :: else
  fi
}

inline mine(t) {
  chain_nonce = chain_nonce + 1;
  x_status[t] = 1;        /* a batch succeeds even if none of its tickets pays */
  for (k_ : 0 .. TICKETS - 1) {
    if
    :: x_tickets[t] & BIT(k_) -> redeem(k_, t + 1)
    :: else
    fi
  }
  if
  :: x_tickets[t] == 0 -> pay(x_account[t], x_amount[t])
  :: else
  fi;
  new_block(t + 1)
}

inline fail(t) {           /* out of gas, or the recipient of a transfer refuses */
  chain_nonce = chain_nonce + 1;
  x_status[t] = 2;
  gas_failures = gas_failures + 1;
  new_block(t + 1)
}

inline reorg() {
  for (k_ : 0 .. TICKETS - 1) {
    if
    :: used[k_] == newest ->
       deposit = deposit + transferred[k_];
       received[t_account[k_]] = received[t_account[k_]] - transferred[k_];
       used[k_] = 0;
       transferred[k_] = 0;
       generation = generation | BIT(k_)
    :: else
    fi
  }
  if
  :: newest < STRANGER ->
     if
     :: x_tickets[newest - 1] == 0 && x_status[newest - 1] == 1 ->
        received[x_account[newest - 1]] = received[x_account[newest - 1]] - x_amount[newest - 1]
     :: else
     fi;
     x_status[newest - 1] = 0;
     x_again = x_again | BIT(newest - 1);
     chain_nonce = chain_nonce - 1
  :: else
  fi;
  newest = 0;
  reorgs = reorgs + 1
}

#define IN_MEMPOOL(t) ((released & BIT(t)) && x_nonce[t] == chain_nonce && x_status[t] == 0)

proctype Miner(byte t) {
  do
  :: d_step { IN_MEMPOOL(t) -> mine(t) }
#if OUT_OF_GAS
  :: d_step { IN_MEMPOOL(t) && gas_failures < OUT_OF_GAS -> fail(t) }
#endif
  od
}

/* Calldata is public, so is a ticket; and the host may pass one on before its transaction is mined. */
#define IN_SIGHT(t, k) ((t) < TXS && (released & BIT(t)) && (x_tickets[t] & BIT(k)))
#define PUBLIC(k) (IN_SIGHT(0, k) || IN_SIGHT(1, k) || IN_SIGHT(2, k) || IN_SIGHT(3, k) || \
                   IN_SIGHT(4, k) || IN_SIGHT(5, k) || IN_SIGHT(6, k) || IN_SIGHT(7, k))
#define STRANGERS_CODE(k) (STRANGER + 2 * (k) + ((generation & BIT(k)) -> 1 : 0))

proctype Stranger(byte k) {
  do
  :: d_step {
       !strangers_left && used[k] == 0 && k < tickets && chain_round <= t_round[k] && deposit > 0 && PUBLIC(k) ->
       redeem(k, STRANGERS_CODE(k));
       new_block(STRANGERS_CODE(k))
     }
  od
}

proctype Chain() {
  do
#if REORGS
  :: d_step { newest != 0 -> newest = 0 }   /* deep enough: final */
  :: d_step { newest != 0 && reorgs < REORGS -> reorg() }
#endif
#if ROUNDS
  :: d_step { chain_round < ROUNDS -> chain_round = chain_round + 1 }
#endif
#if TOP_UP
  :: d_step { topped_up == 0 -> topped_up = 1; deposit = deposit + TOP_UP }
#endif
#if !defined(LIES) && !defined(ROLLBACK) && !defined(FORK)
  :: d_step { !strangers_left -> strangers_left = 1 }   /* nobody can be relied on to redeem a ticket of ours */
#endif
  :: false -> skip
  od
}
