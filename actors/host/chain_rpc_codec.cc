#include "actors/host/chain_rpc_codec.h"

#include <json/reader.h>
#include <json/writer.h>

#include <memory>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "actors/host/rpc_types.h"

namespace coffer::host {
namespace {

constexpr int kMaxDepth = 64;

absl::Status Malformed(const char* what) { return absl::DataLossError(what); }

Json::Value CallJson(const OutgoingCall& call) {
  Json::Value json(Json::objectValue);
  json["jsonrpc"] = "2.0";
  json["id"] = static_cast<Json::UInt64>(call.id);
  json["method"] = *call.method;
  json["params"] = *call.params;
  return json;
}

absl::StatusOr<Json::Value> ParseJson(std::string_view text) {
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  builder["stackLimit"] = kMaxDepth;
  const std::unique_ptr<Json::CharReader> reader(builder.newCharReader());
  Json::Value value;
  try {
    if (reader->parse(text.data(), text.data() + text.size(), &value, nullptr)) return value;
  } catch (const Json::Exception&) {
    return Malformed("the answer is JSON nested too deep");
  }
  return Malformed("the answer is no JSON");
}

absl::StatusOr<RpcAnswer> AnswerOf(Json::Value& json) {
  RpcAnswer answer;
  if (!json["error"].isNull()) {
    answer.refused = true;
    answer.error = ParseRpcError(json["error"]);
    return answer;
  }
  if (!json.isMember("result")) return Malformed("an answer with neither result nor error");
  answer.result.swap(json["result"]);
  return answer;
}

}  // namespace

std::string EncodeRequest(absl::Span<const OutgoingCall> calls) {
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "";
  if (calls.size() == 1) return Json::writeString(builder, CallJson(calls[0]));
  Json::Value all(Json::arrayValue);
  for (const OutgoingCall& call : calls) all.append(CallJson(call));
  return Json::writeString(builder, all);
}

absl::StatusOr<Decoded> DecodeResponse(std::string_view body, absl::Span<const uint64_t> ids,
                                       bool batch) {
  absl::StatusOr<Json::Value> json = ParseJson(body);
  if (!json.ok()) return json.status();
  Decoded decoded;
  // An error about the request as a whole; some nodes wrap it in an array.
  const Json::Value& first = json->isArray() && json->size() == 1 ? (*json)[0] : *json;
  if (first.isObject() && first["id"].isNull() && !first["error"].isNull()) {
    decoded.refused_whole = ParseRpcError(first["error"]);
    return decoded;
  }
  if (json->isArray() != batch) return Malformed("a batch and a single answer were confused");
  Json::Value single(Json::arrayValue);
  if (!batch) single.append(std::move(*json));
  Json::Value& answers = batch ? *json : single;
  if (answers.size() != ids.size()) return Malformed("more or fewer answers than calls");
  absl::flat_hash_set<uint64_t> open(ids.begin(), ids.end());
  for (Json::Value& one : answers) {
    if (!one.isObject()) return Malformed("an answer that is no object");
    const Json::Value& id = one["id"];
    if (!id.isUInt64() || !id.isIntegral() || open.erase(id.asUInt64()) == 0) {
      return Malformed("an answer with an id that was not asked, or twice");
    }
    const uint64_t number = id.asUInt64();
    absl::StatusOr<RpcAnswer> answer = AnswerOf(one);
    if (!answer.ok()) return answer.status();
    decoded.answers.emplace_back(number, *std::move(answer));
  }
  return decoded;
}

}  // namespace coffer::host
