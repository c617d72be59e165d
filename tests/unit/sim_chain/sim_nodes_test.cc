// The simulated nodes, asked by the production ChainRpc and ChainReader.
#include "tests/sim/chain/sim_nodes.h"

#include <cstdlib>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "actors/host/chain_reader.h"
#include "actors/host/chain_rpc.h"
#include "actors/host/rpc_types.h"
#include "enclave_core/ethereum/ticket_broker.h"
#include "tests/unit/sim_chain/chain_fixture.h"

namespace coffer::sim::chain {
namespace {

uint64_t Seed() {
  const char* given = std::getenv("COFFER_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 11;
}

class SimNodesTest : public ChainTest {
 protected:
  SimNodesTest() : scheduler_(Seed()), nodes_(&scheduler_, &chain_, 3) { StartHost(); }
  ~SimNodesTest() override { StopHost(); }

  void StartHost() {
    dispatcher_ = scheduler_.NewDispatcher("host");
    transport_ = nodes_.NewTransport(dispatcher_);
    host::ChainRpcOptions options;
    options.urls = nodes_.urls();
    rpc_ = std::make_unique<host::ChainRpc>(dispatcher_, transport_.get(), &scheduler_.random(),
                                            std::move(options));
    reader_ = std::make_unique<host::ChainReader>(rpc_.get());
  }
  void StopHost() {
    reader_.reset();
    rpc_.reset();
    transport_.reset();
  }

  // What one call is answered with; a minute of virtual time is enough for all of its tries.
  absl::StatusOr<host::RpcAnswer> Call(const std::string& method, Json::Value params) {
    std::optional<absl::StatusOr<host::RpcAnswer>> got;
    rpc_->Call(method, std::move(params),
               [&](absl::StatusOr<host::RpcAnswer> answer) { got = std::move(answer); });
    EXPECT_TRUE(scheduler_.RunUntil([&] { return got.has_value(); }, absl::Minutes(1)));
    return got.value_or(absl::InternalError("no answer at all"));
  }
  absl::StatusOr<host::ChainState> ReadChain() {
    host::ChainQuery query;
    query.address = sender();
    query.broker = broker();
    query.confirmations = 3;
    std::optional<absl::StatusOr<host::ChainState>> got;
    reader_->Read(query, [&](absl::StatusOr<host::ChainState> state) { got = std::move(state); });
    EXPECT_TRUE(scheduler_.RunUntil([&] { return got.has_value(); }, absl::Minutes(5)));
    return got.value_or(absl::InternalError("no answer at all"));
  }
  host::RpcAnswer Send(const std::string& raw) {
    const auto answer = Call("eth_sendRawTransaction", host::RawTransactionParams(raw));
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.value_or(host::RpcAnswer());
  }
  std::optional<host::Receipt> AskReceipt(const std::string& raw) {
    const auto answer = Call("eth_getTransactionReceipt", host::HashParams(HashOf(raw)));
    EXPECT_TRUE(answer.ok() && !answer->refused);
    const auto receipt = host::ParseReceipt(answer->result);
    EXPECT_TRUE(receipt.ok()) << receipt.status();
    return receipt.value_or(std::nullopt);
  }

  runtime::TestScheduler scheduler_;
  SimNodes nodes_;
  runtime::TestDispatcher* dispatcher_ = nullptr;
  std::unique_ptr<host::HttpTransport> transport_;
  std::unique_ptr<host::ChainRpc> rpc_;
  std::unique_ptr<host::ChainReader> reader_;
};

TEST_F(SimNodesTest, AnHonestNodeAnswersTheProductionReader) {
  chain_.AddReserve(sender(), 77);
  chain_.AdvanceRound(true);
  const auto state = ReadChain();
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(state->chain_id, 42161u);
  EXPECT_EQ(state->number, chain_.height());
  EXPECT_EQ(state->hash, chain_.head().hash);
  EXPECT_EQ(state->confirmed, chain_.height() - 2);
  EXPECT_EQ(state->base_fee, 100u);
  EXPECT_EQ(state->nonce, 7u);
  EXPECT_EQ(state->balance, 1'000'000'000'000'000'000u);
  EXPECT_EQ(state->deposit, 1000u);
  EXPECT_EQ(state->reserve, 77u);
  EXPECT_EQ(state->round, 4u);
  EXPECT_TRUE(state->round_initialized);
  EXPECT_FALSE(state->paused);
  EXPECT_EQ(state->round_block_hash, chain_.broker().BlockHashForRound(4));
  EXPECT_EQ(nodes_.counters().unknown_methods, 0u);
  EXPECT_EQ(nodes_.counters().faults, 0u);
}

TEST_F(SimNodesTest, ATransactionGoesThePathToItsReceiptAndLogs) {
  const std::string raw = Batch(7, {Ticket(1, 10), Ticket(2, 20)});
  EXPECT_EQ(Send(raw).result.asString(), HashOf(raw).ToHex());
  EXPECT_EQ(AskReceipt(raw), std::nullopt);
  chain_.Mine(1);
  const auto receipt = AskReceipt(raw);
  ASSERT_TRUE(receipt.has_value());
  EXPECT_EQ(ethereum::DecodeRedemptions(broker(), receipt->logs)->size(), 2u);
  host::LogFilter filter;
  filter.from_block = 0;
  filter.to_block = chain_.height() + 5;
  filter.address = broker();
  filter.topic0 = {ethereum::WinningTicketRedeemedTopic()};
  const auto answer = Call("eth_getLogs", host::LogFilterParams(filter));
  ASSERT_TRUE(answer.ok() && !answer->refused);
  const auto logs = host::ParseLogs(answer->result);
  ASSERT_TRUE(logs.ok()) << logs.status();
  ASSERT_EQ(logs->size(), 2u);
  EXPECT_EQ((*logs)[1].tx_hash, HashOf(raw));
  // A node may take narrow ranges only, and says so in a way that does not mean "wait".
  nodes_.SetFaults({.max_log_range = 10});
  filter.from_block = chain_.height() - 9;
  filter.to_block = chain_.height();
  EXPECT_FALSE(Call("eth_getLogs", host::LogFilterParams(filter))->refused);
  filter.from_block -= 1;
  const auto wide = Call("eth_getLogs", host::LogFilterParams(filter));
  ASSERT_TRUE(wide.ok() && wide->refused);
  EXPECT_EQ(host::ClassifyRpcError(wide->error), host::RpcErrorKind::kOther);
}

TEST_F(SimNodesTest, RefusalsReadAsWhatTheyAreInEveryNodesWords) {
  using Kind = host::RpcErrorKind;
  for (size_t node = 0; node < 3; ++node) {
    for (size_t other = 0; other < 3; ++other) nodes_.SetDown(other, other != node);
    const auto kind = [&](const std::string& raw) {
      const host::RpcAnswer answer = Send(raw);
      EXPECT_TRUE(answer.refused);
      return host::ClassifyRpcError(answer.error);
    };
    const TicketCall ticket = Ticket(node, 10);
    const uint64_t next = 7 + node;
    EXPECT_EQ(kind(Single(next + 1, ticket)), Kind::kNonceTooHigh) << node;
    EXPECT_EQ(kind(Single(0, ticket)), Kind::kNonceTooLow) << node;
    EXPECT_FALSE(Send(Single(next, ticket)).refused);
    EXPECT_EQ(kind(Single(next, ticket)), Kind::kAlreadyKnown) << node;
    TransactionPlan plan = Plan(next, "");
    plan.max_fee = 1001;
    EXPECT_EQ(kind(MakeTransaction(key_, plan)), Kind::kReplacementUnderpriced) << node;
    plan.nonce = next + 1;
    plan.value = U256(1) << 100;
    EXPECT_EQ(kind(MakeTransaction(key_, plan)), Kind::kInsufficientFunds) << node;
    chain_.Mine(10);
  }
}

TEST_F(SimNodesTest, EstimatesAndTheirRefusals) {
  host::CallRequest call;
  call.from = sender();
  call.to = Somebody(3);
  call.value = 5;
  const Json::Value latest = host::BlockParam(chain_.height());
  const auto transfer = Call("eth_estimateGas", host::CallParams(call, latest));
  ASSERT_TRUE(transfer.ok());
  EXPECT_EQ(*host::ParseQuantity(transfer->result), 21'000u);
  call.to = broker();
  call.data = EncodeRedeem(Ticket(1, 10));
  const auto silent = Call("eth_estimateGas", host::CallParams(call, latest));
  ASSERT_TRUE(silent.ok() && silent->refused);  // ether with a call that takes none
  call.value = 0;
  chain_.SetPaused(true);
  const auto paused = Call("eth_estimateGas", host::CallParams(call, latest));
  ASSERT_TRUE(paused.ok() && paused->refused);
  EXPECT_EQ(host::ClassifyRpcError(paused->error), host::RpcErrorKind::kReverted);
  EXPECT_EQ(host::RevertReasonOf(paused->error), "system is paused");
}

struct FaultCase {
  const char* name;
  NodeFaults faults;
  uint64_t host::ChainRpcMetrics::*counted;
};

// Each fault by itself: it is seen as what it is, and the answers that get through are true.
TEST_F(SimNodesTest, EveryFaultIsMetAndEveryAnswerIsTrue) {
  using M = host::ChainRpcMetrics;
  const FaultCase table[] = {
      {"timeout", {.timeout = 300}, &M::timeouts},
      {"refused", {.refused = 300}, &M::unavailable},
      {"rate_limited", {.rate_limited = 300}, &M::rate_limited},
      {"server_error", {.server_error = 300}, &M::unavailable},
      {"garbage", {.garbage = 300}, &M::malformed},
      {"wrong_ids", {.wrong_ids = 300}, &M::malformed},
      {"truncated", {.truncated = 300}, &M::malformed},
  };
  for (const FaultCase& fault : table) {
    SCOPED_TRACE(std::string(fault.name) + ", COFFER_TEST_SEED=" + std::to_string(Seed()));
    StopHost();
    StartHost();
    nodes_.SetFaults(fault.faults);
    int read = 0;
    for (int i = 0; i < 30; ++i) {
      const auto state = ReadChain();
      if (!state.ok()) continue;
      ++read;
      EXPECT_EQ(state->nonce, 7u);
      EXPECT_EQ(state->deposit, 1000u);
    }
    EXPECT_GT(read, 10);
    EXPECT_GT(rpc_->metrics().*fault.counted, 0u);
  }
}

TEST_F(SimNodesTest, StaleAnswersAreOldOnesAndNothingElse) {
  for (uint64_t n = 7; n < 12; ++n) {
    ASSERT_EQ(chain_.Submit(Single(n, Ticket(n, 10))), Refusal::kNone);
    chain_.Mine(1);
  }
  nodes_.SetFaults({.stale = 500, .max_lag = 4});
  bool behind = false;
  for (int i = 0; i < 50; ++i) {
    const auto state = ReadChain();
    if (!state.ok()) continue;  // the node that was asked next has not seen that block yet
    EXPECT_LE(state->number, chain_.height());
    EXPECT_EQ(state->nonce, 12 - (chain_.height() - state->number));
    EXPECT_EQ(state->deposit, 1000 - 10 * (state->nonce - 7));
    behind = behind || state->number < chain_.height();
  }
  EXPECT_TRUE(behind);
}

TEST_F(SimNodesTest, ContradictoryNodesShowAReceiptOfABranchThatIsGone) {
  const std::string raw = Single(7, Ticket(1, 10));
  Send(raw);
  chain_.Mine(1);
  ASSERT_TRUE(chain_.Reorg(1, 1));
  EXPECT_EQ(AskReceipt(raw), std::nullopt);
  nodes_.SetFaults({.contradictory = 1000});
  EXPECT_TRUE(AskReceipt(raw).has_value());
  chain_.Mine(1);
  EXPECT_EQ(AskReceipt(raw), std::nullopt);
}

TEST_F(SimNodesTest, NodesForgetAndSayNoThoughTheyTookIt) {
  const std::string raw = Single(7, Ticket(1, 10));
  nodes_.SetFaults({.forgets = 1000});
  EXPECT_FALSE(Send(raw).refused);
  EXPECT_FALSE(chain_.Pending(HashOf(raw)));
  EXPECT_NE(chain_.FindSubmission(HashOf(raw)), nullptr);
  nodes_.SetFaults({.odd_refusals = 1000});
  const host::RpcAnswer answer = Send(raw);
  EXPECT_TRUE(answer.refused);
  EXPECT_NE(host::ClassifyRpcError(answer.error), host::RpcErrorKind::kOther);
  EXPECT_TRUE(chain_.Pending(HashOf(raw)));
}

TEST_F(SimNodesTest, ANodeOnAnotherChainIsFoundOut) {
  nodes_.SetChainId(0, 1);
  std::optional<absl::Status> checked;
  rpc_->CheckChainId(42161, [&](const absl::Status& status) { checked = status; });
  ASSERT_TRUE(scheduler_.RunUntil([&] { return checked.has_value(); }, absl::Minutes(1)));
  EXPECT_TRUE(checked->ok());
  EXPECT_TRUE(ReadChain().ok());
  EXPECT_NE(rpc_->metrics().current_url, 0u);
}

// The request of a process that dies reaches the node; its answer reaches nobody.
TEST_F(SimNodesTest, AProcessMayDieBetweenRequestAndAnswer) {
  const std::string raw = Single(7, Ticket(1, 10));
  bool answered = false;
  rpc_->Call("eth_sendRawTransaction", host::RawTransactionParams(raw),
             [&](const absl::StatusOr<host::RpcAnswer>&) { answered = true; });
  while (nodes_.counters().requests == 0) ASSERT_TRUE(scheduler_.Step());
  dispatcher_->Crash();
  StopHost();
  scheduler_.Advance(absl::Minutes(1));
  EXPECT_FALSE(answered);
  EXPECT_TRUE(chain_.Pending(HashOf(raw)));
}

TEST(SimNodesRun, TheSameSeedGivesTheSameRun) {
  const auto run = [](uint64_t seed) {
    runtime::TestScheduler scheduler(seed);
    ChainOptions options;
    options.broker.contracts.broker = Somebody(1);
    ChainModel chain(options);
    SimNodes nodes(&scheduler, &chain, 2);
    runtime::TestDispatcher* dispatcher = scheduler.NewDispatcher("host");
    const auto transport = nodes.NewTransport(dispatcher);
    nodes.SetFaults({.timeout = 200, .refused = 100, .garbage = 200, .stale = 100});
    host::ChainRpcOptions rpc_options;
    rpc_options.urls = nodes.urls();
    host::ChainRpc rpc(dispatcher, transport.get(), &scheduler.random(), rpc_options);
    for (int i = 0; i < 50; ++i) {
      rpc.Call("eth_blockNumber", Json::Value(Json::arrayValue),
               [](const absl::StatusOr<host::RpcAnswer>&) {});
      scheduler.Advance(absl::Milliseconds(30));
    }
    scheduler.Advance(absl::Minutes(2));
    return std::pair(scheduler.trace(), nodes.counters().faults);
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5).first, run(6).first);
  EXPECT_GT(run(5).second, 0u);
}

}  // namespace
}  // namespace coffer::sim::chain
