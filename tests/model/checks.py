"""What is checked: the models that must hold, and each safeguard with the rule that breaks without it.

Sizes and switches are macros of docs/model/*.pml. They are as small as shows the point: a state space is
searched whole, so one more transaction can cost a factor of ten.
"""
from dataclasses import dataclass

ONE = {"EVENTS": 1, "PAYOUTS": 2, "TICKETS": 2, "TXS": 3}
BATCH = {"ACCOUNTS": 2, "EVENTS": 2, "FIRST_CREDIT": 2, "PAYOUTS": 2, "TICKETS": 4, "TXS": 3}
TRANSFER = {"EVENTS": 2, "PAYOUTS": 2, "TICKETS": 1, "TXS": 4, "TRANSFERS": ""}
EXPIRY = {**ONE, "TICKETS": 3, "TXS": 4, "ROUNDS": 1, "OUT_OF_GAS": 1}
SHORT = {**ONE, "FIRST_CREDIT": 2, "DEPOSIT": 1, "TOP_UP": 1}
OLD = {"EVENTS": 2, "PAYOUTS": 1, "TICKETS": 2, "TXS": 2, "CRASHES": 1, "ROLLBACK": ""}
TWO = {"EVENTS": 2, "PAYOUTS": 2, "TICKETS": 3, "TXS": 3, "FORK": ""}


@dataclass(frozen=True)
class Check:
    name: str
    sizes: dict
    says: str
    breaks: str = ""        # the rule that must be violated; empty: the model must hold
    without: tuple = ()     # the safeguards that are taken away
    progress: bool = False  # the LTL property, with weak fairness


GOOD = [
    Check("crash", {"EVENTS": 2, "PAYOUTS": 3, "TICKETS": 4, "TXS": 5, "CRASHES": 2, "OUT_OF_GAS": 1},
          "honest host; crashes at every step; commands pile up while a record is on its way"),
    Check("crash_lies", {**ONE, "FIRST_CREDIT": 2, "PARTS": "", "TICKETS": 3, "CRASHES": 1, "LIES": "", "ONE_AT_A_TIME": ""},
          "lying host; crashes at every step"),
    Check("reorg", {"EVENTS": 2, "PAYOUTS": 2, "TICKETS": 3, "TXS": 3, "CRASHES": 1, "REORGS": 1, "OUT_OF_GAS": 1, "ONE_AT_A_TIME": ""},
          "honest host; the newest block is taken back once"),
    Check("reorg_lies", {**ONE, "FIRST_CREDIT": 2, "PARTS": "", "REORGS": 1, "LIES": ""},
          "lying host; the newest block is taken back once"),
    Check("short", {**SHORT, "TXS": 4, "REORGS": 1, "OUT_OF_GAS": 1},
          "honest host; a deposit below the face value, filled up at any time; a reorg"),
    Check("short_lies", {**SHORT, "REORGS": 1, "LIES": ""}, "the same with a lying host"),
    Check("expiry", EXPIRY, "honest host; tickets expire and are voided by proof"),
    Check("expiry_lies", {**ONE, "FIRST_CREDIT": 2, "PARTS": "", "ROUNDS": 1, "LIES": ""}, "the same with a lying host"),
    Check("batch", {**BATCH, "TXS": 6, "OUT_OF_GAS": 1, "FEES": 2},
          "honest host; two accounts in one batch; bumps; strangers redeem"),
    Check("batch_short", {**BATCH, "PAYOUTS": 4, "TXS": 4, "TICKETS": 5, "DEPOSIT": 1, "TOP_UP": 2},
          "the same with a deposit for a part of the batch"),
    Check("batch_lies", {**BATCH, "LIES": ""}, "lying host; two accounts in one batch"),
    Check("transfer", {**TRANSFER, "FEES": 2, "CRASHES": 1, "REORGS": 1}, "honest host; plain transfers, bumps, a reorg"),
    Check("transfer_lies", {**TRANSFER, "FEES": 2, "CRASHES": 1, "OUT_OF_GAS": 1, "LIES": "", "ONE_AT_A_TIME": ""},
          "lying host; transfers that fail"),
    Check("recipient", {**ONE, "EVENTS": 2, "PAYOUTS": 1, "TXS": 2, "RECIPIENTS": 2, "CRASHES": 1, "LIES": "", "ONE_AT_A_TIME": ""},
          "lying host names other recipients"),
    Check("rollback", {**OLD, "COUNTER": ""}, "any older record is loaded; a freshness counter"),
    Check("fork", {**TWO, "COUNTER": "", "ONE_AT_A_TIME": ""}, "two enclaves from one state; a freshness counter"),
    Check("progress", {**ONE, "CRASHES": 1, "OUT_OF_GAS": 1, "FEES": 2},
          "honest host: whatever happens, in the end every credited wei is paid and stays paid", progress=True),
    Check("progress_reorg", {**ONE, "REORGS": 1, "ROUNDS": 1, "TXS": 4, "TICKETS": 3},
          "the same with a reorg and expiry", progress=True),
]

I3 = "I3_never_paid_more_than_credited"
NO_PROGRESS = "an execution without progress"
PAID = "END_every_credited_wei_is_paid"
BOOKS = "END_books_say_what_the_chain_paid"
CRASH = {"EVENTS": 2, "PAYOUTS": 2, "TICKETS": 4, "TXS": 4, "CRASHES": 1}


def without(safeguard, sizes, breaks, says, *more):
    return Check("without_" + safeguard.lower().removeprefix("no_"), sizes, says, breaks, (safeguard, *more))


BROKEN = [
    without("NO_SEAL_BEFORE_RELEASE", CRASH, "I5_nothing_released_that_is_not_stored", "a signature leaves before its record is stored"),
    Check("without_seal_before_release_money", CRASH, "the same, and what it costs: a crash, and the funds are signed away again",
          I3, ("NO_SEAL_BEFORE_RELEASE", "NO_ASSERTION_OF_I5", "NO_ASSERTION_AT_THE_END")),
    without("NO_RESERVATION", CRASH, I3, "a signature does not hold the funds"),
    without("NO_TICKETS_FOR_LIFE", {**ONE, "TICKETS": 3, "OUT_OF_GAS": 1}, I3, "a retry makes new tickets"),
    without("NO_SEALED_NONCE", {**ONE, "EVENTS": 2}, "I3_one_nonce_one_payout", "the next nonce is what the host reads on the chain"),
    without("NO_BUMP_UNDER_ITS_NONCE", {**TRANSFER, "FEES": 2}, I3, "a replacement gets a nonce of its own"),
    without("NO_TRANSFER_UNDER_ONE_NONCE", {**TRANSFER, "LIES": ""}, I3, "a transfer that the host calls failed is sent again"),
    without("NO_PROOF_OF_EXPIRY", {**ONE, "ROUNDS": 1}, I3, "an unused ticket is voided before it expires", "NO_ASSERTION_AT_THE_END"),
    without("NO_PROOF_OF_NO_USE", {**ONE, "ROUNDS": 1}, I3, "an expired ticket is voided though it has paid", "NO_ASSERTION_AT_THE_END"),
    Check("void_on_host_word", {**ONE, "ROUNDS": 1, "LIES": ""}, "both are the host's word", I3, ("NO_PROOF_OF_EXPIRY", "NO_PROOF_OF_NO_USE")),
    without("NO_PROOF_OF_SHORTFALL", {**ONE, "LIES": ""}, I3, "tier T0: that a ticket paid less than its face value is the host's word"),
    without("NO_FINAL_SHORTFALL", {**SHORT, "TOP_UP": 2, "REORGS": 1}, I3, "a shortfall is free again before its block is final",
            "NO_ASSERTION_AT_THE_END"),
    without("NO_TRANSFERRED_AMOUNT", SHORT, BOOKS, "the face value is debited and not what was transferred"),
    without("NO_LOGS_NEEDED", EXPIRY, BOOKS, "a batch's status is believed"),
    without("NO_MATCH_BY_SENDER_NONCE", {**BATCH, "PAYOUTS": 3, "TICKETS": 5}, I3, "logs are matched by their order"),
    without("NO_MATCH_BY_SENDER", {**ONE, "OUT_OF_GAS": 1}, BOOKS, "another sender's ticket with the same senderNonce settles ours"),
    without("NO_CONFIRMATION_REMEMBERED", ONE, "I4_confirmed_twice_changes_nothing", "a receipt is applied again"),
    without("NO_REOPENING", {**ONE, "REORGS": 1, "OUT_OF_GAS": 1}, BOOKS, "what a reorg took back stays settled"),
    without("NO_SAME_TICKETS_AFTER_REORG", {**ONE, "TICKETS": 3, "REORGS": 1, "FEES": 2}, I3, "a reorg opens a payout with new tickets"),
    without("NO_EVENT_MEMORY", ONE, "I7_an_event_counts_once", "event ids are not remembered"),
    without("NO_CHECK_BEFORE_REMEMBERING", {**ONE, "EVENTS": 2, "RECIPIENTS": 2}, "END_every_credit_is_in_the_books",
            "a refused event is remembered as applied"),
    without("NO_RECIPIENT_CHECK", {**ONE, "EVENTS": 2, "RECIPIENTS": 2, "LIES": ""}, "I1_recipient_is_fixed",
            "a later event changes the recipient"),
    without("NO_RESUMED_SIGNATURES", CRASH, PAID, "a signature reserved before a crash is not made after it"),
    Check("without_resumed_signatures_progress", {**ONE, "CRASHES": 1}, "the same as an endless execution that is fair to everybody",
          NO_PROGRESS, ("NO_RESUMED_SIGNATURES",), progress=True),
    without("NO_WAIT_FOR_ACKNOWLEDGEMENT", CRASH, "END_every_credit_is_in_the_books", "the journal's cursor moves before the record is durable"),
    Check("rollback_without_counter", {**OLD, "ONE_AT_A_TIME": ""}, "an older record is loaded, and nothing tells", I3),
    Check("fork_without_counter", {**TWO, "ONE_AT_A_TIME": ""}, "two enclaves from one state, and nothing tells", I3),
    without("NO_COUNTER_BEFORE_RELEASE", {**OLD, "COUNTER": ""}, I3, "released before the counter has moved"),
    without("NO_COUNTER_AT_LOAD", {**OLD, "COUNTER": "", "ONE_AT_A_TIME": ""}, "I6_no_older_state_is_loaded", "the counter is not asked at load"),
]
