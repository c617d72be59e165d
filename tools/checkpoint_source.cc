#include "tools/checkpoint_source.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/audit/tiles.h"
#include "host_proxy/json_text.h"

namespace coffer::tools {
namespace {

constexpr size_t kMaxStatementBytes = 64 * 1024;
constexpr absl::Duration kPoll = absl::Milliseconds(250);
constexpr char kRoute[] = "/api/transparency/tee-core/audit/checkpoint";

absl::Status Wrong(const std::string& field, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("the host's signed checkpoint: ", field, " ", why));
}

absl::StatusOr<std::string> Text(const Json::Value& json, const std::string& field) {
  if (!json.isMember(field)) return Wrong(field, "is missing");
  if (!json[field].isString()) return Wrong(field, "is not a string");
  return json[field].asString();
}

// A number, or one in a string: programs in JavaScript write both.
absl::StatusOr<uint64_t> Number(const Json::Value& json, const std::string& field) {
  const Json::Value& value = json[field];
  uint64_t number = 0;
  if (value.isUInt64()) return value.asUInt64();
  if (value.isString() && absl::SimpleAtoi(value.asString(), &number)) return number;
  return Wrong(field, value.isNull() ? "is missing" : "is not a number");
}

template <typename T>
absl::StatusOr<T> Hex(const Json::Value& json, const std::string& field) {
  const absl::StatusOr<std::string> text = Text(json, field);
  if (!text.ok()) return text.status();
  absl::StatusOr<T> value = T::FromHex(*text);
  if (!value.ok()) return Wrong(field, value.status().message());
  return value;
}

// A tile of a log that has `published` leaves now, cut to the width that it has at a smaller size.
absl::StatusOr<std::string> ReadTileOf(LogSource& log, const audit::TileRef& tile,
                                       uint64_t published) {
  audit::TileRef now = tile;
  now.width = audit::TileWidthAt(tile.level, tile.index, published);
  if (now.width < tile.width) return absl::NotFoundError("the published log is smaller");
  absl::StatusOr<std::string> content = log.Read(audit::TilePath(now), kMaxLogFileBytes);
  if (!content.ok()) return content;
  if (content->size() != size_t{now.width} * audit::Hash::kSize) {
    return absl::DataLossError(absl::StrCat(audit::TilePath(now), " has a wrong length"));
  }
  content->resize(size_t{tile.width} * audit::Hash::kSize);
  return content;
}

absl::StatusOr<audit::Proof> TryConsistency(LogSource& log, uint64_t first, uint64_t second) {
  const absl::StatusOr<std::string> note = log.Read("checkpoint", audit::kMaxNoteBytes);
  if (!note.ok()) return note.status();
  const absl::StatusOr<audit::SignedCheckpoint> published = audit::ParseCheckpoint(*note);
  if (!published.ok()) {
    return absl::DataLossError(
        absl::StrCat("the log's checkpoint: ", published.status().message()));
  }
  const uint64_t size = published->checkpoint.size;
  if (size < second) {
    return absl::NotFoundError(
        absl::StrCat("the log has published ", size, " leaves of ", second, " yet"));
  }
  const auto fetch = [&](const audit::TileRef& tile) { return ReadTileOf(log, tile, size); };
  const audit::TileHashReader reader(second, fetch);
  return audit::BuildConsistency(first, second, reader);
}

}  // namespace

absl::StatusOr<SignedStatement> ParseStatementAnswer(std::string_view json, uint64_t chain_id,
                                                     const ethereum::Address& registry) {
  const absl::StatusOr<Json::Value> answer = host_proxy::FromText(json);
  if (!answer.ok()) return answer.status();
  if (!answer->isObject()) return absl::InvalidArgumentError("the host's answer is no object");
  SignedStatement out;
  const auto audit_address = Hex<ethereum::Address>(*answer, "audit_address");
  if (!audit_address.ok()) return audit_address.status();
  const auto contract = Hex<ethereum::Address>(*answer, "contract_address");
  if (!contract.ok()) return contract.status();
  const auto root = Hex<audit::Hash>(*answer, "merkle_root");
  if (!root.ok()) return root.status();
  const absl::StatusOr<uint64_t> size = Number(*answer, "seq");
  if (!size.ok()) return size.status();
  const absl::StatusOr<uint64_t> chain = Number(*answer, "chain_id");
  if (!chain.ok()) return chain.status();
  if (*chain != chain_id) {
    return Wrong("chain_id", absl::StrCat("is ", *chain, ", asked was ", chain_id));
  }
  if (*contract != registry) return Wrong("contract_address", "is not the registry asked for");
  const absl::StatusOr<std::string> text = Text(*answer, "signature");
  if (!text.ok()) return text.status();
  const absl::StatusOr<std::string> bytes = ethereum::FromHex(*text);
  if (!bytes.ok()) return Wrong("signature", bytes.status().message());
  const absl::StatusOr<ethereum::Signature> signature = ethereum::Signature::FromBytes65(*bytes);
  if (!signature.ok()) return Wrong("signature", signature.status().message());
  out.statement = {*audit_address, *size, *root, chain_id, registry};
  out.signature = *signature;
  // What the answer calls the message's hash is not looked at: it is computed here.
  if (absl::Status valid = audit::VerifyChainStatement(out.statement, out.signature); !valid.ok()) {
    return valid;
  }
  return out;
}

absl::StatusOr<SignedStatement> FetchStatement(HttpFetcher& host, uint64_t chain_id,
                                               const ethereum::Address& registry) {
  const absl::StatusOr<std::string> answer =
      host.Get(absl::StrCat(kRoute, "?chain_id=", chain_id,
                            "&contract_address=", ethereum::ToChecksum(registry)),
               kMaxStatementBytes);
  if (!answer.ok()) {
    return absl::Status(
        answer.status().code(),
        absl::StrCat("the signed checkpoint of ", host.name(), ": ", answer.status().message()));
  }
  return ParseStatementAnswer(*answer, chain_id, registry);
}

absl::StatusOr<audit::Proof> FetchConsistency(LogSource& log, uint64_t first,
                                              const audit::Hash& first_root,
                                              const audit::ChainStatement& statement,
                                              absl::Duration patience,
                                              absl::FunctionRef<bool(absl::Duration)> wait) {
  if (first == 0) return audit::Proof();  // everything begins with the empty tree
  absl::StatusOr<audit::Proof> proof = TryConsistency(log, first, statement.size);
  // NotFound too when the log grew, and dropped a partial tile, in between.
  while (absl::IsNotFound(proof.status()) && patience > absl::ZeroDuration()) {
    patience -= kPoll;
    if (!wait(kPoll)) return absl::CancelledError("stopped");
    proof = TryConsistency(log, first, statement.size);
  }
  if (!proof.ok()) {
    return absl::Status(
        proof.status().code(),
        absl::StrCat("no consistency proof from size ", first, " to ", statement.size, " at ",
                     log.name(), ": ", proof.status().message()));
  }
  if (absl::Status consistent =
          audit::VerifyConsistency(first, statement.size, first_root, statement.root, *proof);
      !consistent.ok()) {
    return consistent;
  }
  return proof;
}

}  // namespace coffer::tools
