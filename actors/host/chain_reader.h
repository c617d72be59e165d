// One consistent reading of what payouts depend on, at the chain's latest block.
#ifndef COFFER_ACTORS_HOST_CHAIN_READER_H_
#define COFFER_ACTORS_HOST_CHAIN_READER_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/functional/any_invocable.h"
#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "actors/host/chain_client.h"
#include "actors/host/payout_options.h"
#include "enclave_core/ethereum/ticket_broker_reads.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::host {

// Everything as of block `number`, so that nonce, deposit and round belong together. The host's
// word: the enclave decides what it makes of it.
struct ChainState {
  uint64_t chain_id = 0;
  uint64_t number = 0;
  ethereum::Hash hash;
  uint64_t confirmed = 0;  // the highest block whose receipts are believed
  absl::uint128 base_fee = 0;
  uint64_t block_gas_limit = 0;
  uint64_t nonce = 0;         // transactions sent by the address
  absl::uint128 balance = 0;  // wei
  // The broker's; only when it was asked for.
  bool has_broker = false;
  absl::uint128 deposit = 0;  // wei
  absl::uint128 reserve = 0;  // wei
  uint64_t withdraw_round = 0;
  ethereum::Address rounds_manager;
  uint64_t round = 0;
  bool round_initialized = false;
  ethereum::Hash round_block_hash;  // zero: none
  bool paused = false;
};

struct ChainQuery {
  ethereum::Address address;  // the signing key's
  ethereum::Address broker;
  bool with_broker = true;
  PayoutDriverOptions::Finality finality = PayoutDriverOptions::Finality::kConfirmations;
  uint64_t confirmations = 1;
};

class ChainReader {
 public:
  // `chain` outlives this object.
  explicit ChainReader(ChainClient* chain);
  ~ChainReader();

  using Done = absl::AnyInvocable<void(absl::StatusOr<ChainState>)>;
  // One reading at a time. `done` is called later, once, unless the reader is destroyed before.
  // The error says which question failed; nothing of an incomplete reading is handed out.
  void Read(const ChainQuery& query, Done done);

 private:
  struct Reading;
  using Take = absl::AnyInvocable<absl::Status(const Json::Value&)>;
  // Asks one question of the reading under way; the last answer of a stage starts `next`.
  void Ask(std::string method, Json::Value params, std::string_view what, Take take);
  void EthCall(const ethereum::Address& to, std::string data, std::string_view what,
               absl::AnyInvocable<absl::Status(std::string_view)> take);
  void Stage(void (ChainReader::*ask)());
  void AskBlocks();
  void AskAccount();
  void AskContracts();
  void AskRound();
  void Finish();

  ChainClient* const chain_;
  std::shared_ptr<Reading> reading_;  // answers hold it weakly
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_CHAIN_READER_H_
