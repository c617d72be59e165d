/* What everybody can see or change: the enclave's state in its copies, what was signed, and the chain.
 *
 * Amounts are wei, small ones. An index into a table stands for a hash: equal content has equal index,
 * so "the same bytes" is "the same index", and two enclaves that sign the same thing share it.
 */

/* ---- sizes; run.py sets them for each check */
#ifndef ACCOUNTS
#define ACCOUNTS 1
#endif
#ifndef EVENTS
#define EVENTS 1        /* credits in the journal; credit e is for account e % ACCOUNTS */
#endif
#ifndef PAYOUTS
#define PAYOUTS 2
#endif
#ifndef TICKETS
#define TICKETS 3       /* different tickets that may come to exist, by anybody's hand */
#endif
#ifndef TXS
#define TXS 4           /* different transactions; at most 8, for they are bits of a byte */
#endif
#ifndef FEES
#define FEES 1          /* fee levels of one nonce: 2 allows one bump */
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef REORGS
#define REORGS 0        /* each takes back the newest block; at most 1, see `generation` */
#endif
#ifndef OUT_OF_GAS
#define OUT_OF_GAS 0    /* transactions that may be mined and fail */
#endif
#ifndef ROUNDS
#define ROUNDS 0        /* a ticket of round r is expired in round r + 1 */
#endif
#ifndef DEPOSIT
#define DEPOSIT 4       /* wei at the broker */
#endif
#ifndef TOP_UP
#define TOP_UP 0        /* wei that somebody adds to the deposit later */
#endif
#ifndef FIRST_CREDIT
#define FIRST_CREDIT 1  /* wei of credit 0; the others are 1 */
#endif
#ifndef RECIPIENTS
#define RECIPIENTS 1    /* addresses that the host may name for an account */
#endif
#ifdef FORK
#define ENCLAVES 2
#else
#define ENCLAVES 1
#endif
#define ITEMS (PAYOUTS * ACCOUNTS)   /* item i is of payout i / ACCOUNTS, for account i % ACCOUNTS */
#define BIT(n) (1 << (n))
#define CREDIT_OF(e) (((e) == 0) * FIRST_CREDIT + ((e) != 0))

/* ---- the enclave's state: what is sealed (proto/sealed.proto), folded */
#define NO_ITEM 0
#define OPEN 1
#define PAID 2
#define VOID 3
#define KIND_TICKETS 0
#define KIND_TRANSFER 1
#define STRANGER 32      /* paid_by: 0 nobody, t + 1 transaction t, STRANGER + 2 k + generation */

typedef Books {
  byte credited[ACCOUNTS];
  byte available[ACCOUNTS];
  byte reserved[ACCOUNTS];
  byte paid[ACCOUNTS];
  byte recipient[ACCOUNTS];   /* 0: not opened */
  byte events;                /* ids seen, a bit each */
  byte next_nonce;
  byte next_ticket;           /* the next senderNonce */
  byte payouts;
  byte kind[PAYOUTS];
  byte round[PAYOUTS];        /* creation round of its tickets */
  byte pending[PAYOUTS];      /* nonce + 1 that is to be signed; 0: none */
  byte pending_fee[PAYOUTS];
  byte attempts[PAYOUTS];     /* transactions signed, a bit each */
  byte waiting[PAYOUTS];      /* nonces that were signed for and are not mined, a bit each */
  byte mined[PAYOUTS];        /* those that are mined, by these books */
  byte mined_again[PAYOUTS];  /* those of `mined` that are in their second block */
  byte item[ITEMS];           /* NO_ITEM, OPEN, PAID, VOID */
  byte amount[ITEMS];         /* wei; a ticket's face value */
  byte item_paid[ITEMS];
  byte paid_by[ITEMS];
  byte ticket[ITEMS];         /* index + 1; 0: not signed */
  byte sender_nonce[ITEMS];
#ifdef COUNTER
  byte sequence;              /* of the record after which this is the state */
  byte writer;                /* with it: the record's hash */
  byte previous_writer;       /* with sequence - 1: the hash of the record before */
#endif
};

/* Copies: in memory; in a sealed record on its way to the storage; in the storage; an older one that the host kept. */
#if CRASHES || defined(ROLLBACK) || defined(FORK)
#define MEMORY(e) (3 * (e))
#define FLIGHT(e) (3 * (e) + 1)
#define DISK(e) (3 * (e) + 2)
#ifdef ROLLBACK
#define KEPT (3 * ENCLAVES)
Books s[3 * ENCLAVES + 1];
#else
#define KEPT DISK(0)
Books s[3 * ENCLAVES];
#endif
#else
#define SURE_STORAGE         /* nobody ever needs what is stored: what is sealed is released, sooner or later */
#define MEMORY(e) 0
#define DISK(e) 0
Books s[1];
#endif
bit up[ENCLAVES];
bit dirty[ENCLAVES];         /* memory has what no record has */
byte flight[ENCLAVES];       /* 0 nothing on its way, 1 sealed, 2 written */
#ifdef ROLLBACK
bit kept;
#endif
byte crashes;
#ifdef FORK
bit forked;
#endif

/* ---- what was signed, ever, by whoever holds the key */
byte tickets, txs;
byte t_sender_nonce[TICKETS], t_amount[TICKETS], t_account[TICKETS], t_recipient[TICKETS], t_round[TICKETS];
byte x_nonce[TXS], x_fee[TXS], x_tickets[TXS], x_amount[TXS], x_account[TXS];
byte released;               /* transactions that the host has, a bit each */
byte stored;                 /* transactions of which the storage has had a record, a bit each */
byte acknowledged;           /* events that the host was told are applied, a bit each */
byte ever_credited;          /* events that any enclave ever took, a bit each: the true debts */
byte fixed_recipient[ACCOUNTS];  /* as first acknowledged */

/* ---- the chain */
bit strangers_left;
byte chain_nonce, chain_round, deposit, topped_up, reorgs, gas_failures;
byte used[TICKETS];          /* 0, t + 1, or a stranger's transaction, coded as in paid_by */
byte transferred[TICKETS];   /* wei: what WinningTicketTransfer says */
byte generation;             /* tickets that a reorg has taken back once, a bit each */
byte x_status[TXS];          /* 0 not mined, 1 succeeded, 2 failed */
byte x_again;                /* transactions that a reorg has taken out once, a bit each */
byte newest;                 /* the block that a reorg can still take back, coded as in paid_by; 0: none */
byte received[ACCOUNTS];     /* wei: what the chain has paid for this account */

#ifdef COUNTER
byte head_sequence, head_writer;   /* the freshness counter: the newest record's identity */
byte boots;
byte boot[ENCLAVES];
#endif

/* ---- the rules. An assertion on one of these names prints the name when it fails. */
hidden byte I1_recipient_is_fixed;
hidden byte I2_conservation;
hidden byte I3_never_paid_more_than_credited;
hidden byte I3_books_never_say_more_than_credited;
hidden byte I3_one_nonce_one_payout;
hidden byte I4_a_nonce_is_mined_once;
hidden byte I4_confirmed_twice_changes_nothing;
hidden byte I5_nothing_released_that_is_not_stored;
hidden byte I6_no_older_state_is_loaded;
hidden byte I7_an_event_counts_once;
hidden byte END_every_credit_is_in_the_books;
hidden byte END_books_say_what_the_chain_paid;
hidden byte END_every_credited_wei_is_paid;
#define require(rule, holds) rule = (holds); assert(rule)

hidden byte i_, j_, k_, p_, t_, sum_, amount_, found_, claimed_;

inline copy(to, from) {
  for (i_ : 0 .. ACCOUNTS - 1) {
    s[to].credited[i_] = s[from].credited[i_];
    s[to].available[i_] = s[from].available[i_];
    s[to].reserved[i_] = s[from].reserved[i_];
    s[to].paid[i_] = s[from].paid[i_];
    s[to].recipient[i_] = s[from].recipient[i_]
  }
  s[to].events = s[from].events;
  s[to].next_nonce = s[from].next_nonce;
  s[to].next_ticket = s[from].next_ticket;
  s[to].payouts = s[from].payouts;
  for (i_ : 0 .. PAYOUTS - 1) {
    s[to].kind[i_] = s[from].kind[i_];
    s[to].round[i_] = s[from].round[i_];
    s[to].pending[i_] = s[from].pending[i_];
    s[to].pending_fee[i_] = s[from].pending_fee[i_];
    s[to].attempts[i_] = s[from].attempts[i_];
    s[to].waiting[i_] = s[from].waiting[i_];
    s[to].mined[i_] = s[from].mined[i_];
    s[to].mined_again[i_] = s[from].mined_again[i_]
  }
  for (i_ : 0 .. ITEMS - 1) {
    s[to].item[i_] = s[from].item[i_];
    s[to].amount[i_] = s[from].amount[i_];
    s[to].item_paid[i_] = s[from].item_paid[i_];
    s[to].paid_by[i_] = s[from].paid_by[i_];
    s[to].ticket[i_] = s[from].ticket[i_];
    s[to].sender_nonce[i_] = s[from].sender_nonce[i_]
  }
#ifdef COUNTER
  s[to].sequence = s[from].sequence;
  s[to].writer = s[from].writer;
  s[to].previous_writer = s[from].previous_writer;
#endif
  skip   /* a d_step must not end with a loop */
}

inline clear(to) {
  for (i_ : 0 .. ACCOUNTS - 1) {
    s[to].credited[i_] = 0; s[to].available[i_] = 0; s[to].reserved[i_] = 0; s[to].paid[i_] = 0; s[to].recipient[i_] = 0
  }
  s[to].events = 0; s[to].next_nonce = 0; s[to].next_ticket = 0; s[to].payouts = 0;
  for (i_ : 0 .. PAYOUTS - 1) {
    s[to].kind[i_] = 0; s[to].round[i_] = 0; s[to].pending[i_] = 0; s[to].pending_fee[i_] = 0;
    s[to].attempts[i_] = 0; s[to].waiting[i_] = 0; s[to].mined[i_] = 0; s[to].mined_again[i_] = 0
  }
  for (i_ : 0 .. ITEMS - 1) {
    s[to].item[i_] = 0; s[to].amount[i_] = 0; s[to].item_paid[i_] = 0; s[to].paid_by[i_] = 0;
    s[to].ticket[i_] = 0; s[to].sender_nonce[i_] = 0
  }
#ifdef COUNTER
  s[to].sequence = 0; s[to].writer = 0; s[to].previous_writer = 0;
#endif
  skip
}
