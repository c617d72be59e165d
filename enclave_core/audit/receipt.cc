#include "enclave_core/audit/receipt.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/text.h"

namespace coffer::audit {
namespace {

constexpr std::string_view kHeader = "c2sp.org/tlog-proof@v1";
constexpr std::string_view kExtra = "extra ";
constexpr std::string_view kIndex = "index ";
constexpr std::string_view kExtraTag = "coffer-receipt:v1\n";

absl::Status Wrong(const char* what) {
  return absl::InvalidArgumentError(absl::StrCat("a receipt ", what));
}

void AppendBlock(std::string_view bytes, std::string& out) {
  out.push_back(static_cast<char>(bytes.size() >> 8));
  out.push_back(static_cast<char>(bytes.size()));
  out.append(bytes);
}

std::optional<std::string_view> TakeBlock(std::string_view& in) {
  if (in.size() < 2) return std::nullopt;
  const size_t size =
      static_cast<size_t>(static_cast<uint8_t>(in[0])) << 8 | static_cast<uint8_t>(in[1]);
  if (in.size() - 2 < size) return std::nullopt;
  const std::string_view out = in.substr(2, size);
  in.remove_prefix(2 + size);
  return out;
}

absl::Status CheckBounds(const Receipt& receipt) {
  if (receipt.leaf.empty() || receipt.leaf.size() > kMaxLeafBytes) {
    return Wrong("has a leaf that is empty or longer than a leaf can be");
  }
  if (receipt.attestation.size() > kMaxAttestationReferenceBytes ||
      !IsNoteText(receipt.attestation) || receipt.attestation.find('\n') != std::string::npos) {
    return Wrong("has an attestation reference that is no line of text of at most 1,024 bytes");
  }
  if (receipt.proof.size() > kMaxProofHashes) return Wrong("has more than 63 proof lines");
  if (receipt.index >= kMaxTreeSize) return Wrong("has an index above any log's");
  if (receipt.checkpoint.size() > kMaxNoteBytes) return Wrong("has a checkpoint that is too long");
  return absl::OkStatus();
}

absl::Status ReadExtra(std::string_view line, Receipt& receipt) {
  const std::optional<std::string> extra = DecodeBase64(line.substr(kExtra.size()));
  if (!extra) return Wrong("has an extra line that is not canonical base64");
  std::string_view rest = *extra;
  if (rest.substr(0, kExtraTag.size()) != kExtraTag) {
    return Wrong("is not Coffer's: its extra line does not begin with coffer-receipt:v1");
  }
  rest.remove_prefix(kExtraTag.size());
  const std::optional<std::string_view> leaf = TakeBlock(rest);
  const std::optional<std::string_view> attestation = TakeBlock(rest);
  if (!leaf || !attestation || !rest.empty()) {
    return Wrong("has an extra line that is cut off or too long");
  }
  receipt.leaf = *leaf;
  receipt.attestation = *attestation;
  return absl::OkStatus();
}

ReceiptCheck Judge(const char* name, const absl::Status& status, std::string passed) {
  return {name, status.ok(), status.ok() ? std::move(passed) : std::string(status.message())};
}

ReceiptCheck Unchecked(const char* name) {
  return {name, false, "not checked: the checkpoint could not be read"};
}

}  // namespace

absl::StatusOr<std::string> FormatReceipt(const Receipt& receipt) {
  if (absl::Status status = CheckBounds(receipt); !status.ok()) return status;
  std::string extra(kExtraTag);
  AppendBlock(receipt.leaf, extra);
  AppendBlock(receipt.attestation, extra);
  std::string out = absl::StrCat(std::string(kHeader), "\nextra ", EncodeBase64(extra), "\nindex ",
                                 receipt.index, "\n");
  for (const Hash& hash : receipt.proof) absl::StrAppend(&out, EncodeBase64(hash.view()), "\n");
  return absl::StrCat(out, "\n", receipt.checkpoint);
}

absl::StatusOr<Receipt> ParseReceipt(std::string_view text) {
  if (text.size() > kMaxReceiptBytes) return Wrong("is too long");
  if (TakeLine(text) != kHeader) return Wrong("does not begin with c2sp.org/tlog-proof@v1");
  Receipt receipt;
  const std::optional<std::string_view> extra = TakeLine(text);
  if (!extra || extra->substr(0, kExtra.size()) != kExtra) {
    return Wrong("has no extra line, which holds the leaf");
  }
  if (absl::Status status = ReadExtra(*extra, receipt); !status.ok()) return status;
  const std::optional<std::string_view> index_line = TakeLine(text);
  if (!index_line || index_line->substr(0, kIndex.size()) != kIndex) {
    return Wrong("has no line \"index <number>\"");
  }
  const std::optional<uint64_t> index = ParseDecimal(index_line->substr(kIndex.size()));
  if (!index) return Wrong("has an index that is not a decimal number below 2^63");
  receipt.index = *index;
  for (;;) {
    const std::optional<std::string_view> line = TakeLine(text);
    if (!line) return Wrong("has no empty line before its checkpoint");
    if (line->empty()) break;
    const std::optional<Hash> hash = DecodeHash(*line);
    if (!hash) return Wrong("has a proof line that is not base64 of 32 bytes");
    receipt.proof.push_back(*hash);
    if (receipt.proof.size() > kMaxProofHashes) return Wrong("has more than 63 proof lines");
  }
  receipt.checkpoint = text;
  if (absl::Status status = CheckBounds(receipt); !status.ok()) return status;
  return receipt;
}

ReceiptReport VerifyReceipt(const Receipt& receipt, const QuorumPolicy& policy) {
  ReceiptReport report;
  const absl::StatusOr<Leaf> leaf = ParseLeaf(receipt.leaf);
  report.checks.push_back(
      Judge("leaf", leaf.status(), "the leaf is one in its canonical encoding"));
  absl::Status numbered = absl::OkStatus();
  if (!leaf.ok() || leaf->sequence != receipt.index) {
    numbered = absl::DataLossError(
        absl::StrCat("the leaf does not say that it is number ", receipt.index, " of the log"));
  }
  report.checks.push_back(
      Judge("index", numbered, absl::StrCat("the leaf says it is number ", receipt.index)));
  if (leaf.ok()) report.leaf = *leaf;
  const absl::StatusOr<SignedCheckpoint> signed_head = ParseCheckpoint(receipt.checkpoint);
  if (!signed_head.ok()) {
    report.checks.push_back(Judge("log", signed_head.status(), ""));
    report.checks.push_back(Unchecked("inclusion"));
    report.checks.push_back(Unchecked("witnesses"));
    return report;
  }
  const Checkpoint& head = signed_head->checkpoint;
  report.checkpoint = head;
  report.checks.push_back(
      Judge("log", policy.CheckLog(*signed_head),
            absl::StrCat("the log ", head.origin, " signed its head of size ", head.size)));
  report.checks.push_back(Judge(
      "inclusion",
      VerifyInclusion(receipt.index, head.size, LeafHash(receipt.leaf), receipt.proof, head.root),
      absl::StrCat("the leaf is number ", receipt.index, " of the tree that was signed")));
  QuorumVerdict verdict = policy.Judge(*signed_head);
  report.checks.push_back({"witnesses", verdict.satisfied, std::move(verdict.sentence)});
  report.valid = std::all_of(report.checks.begin(), report.checks.end(),
                             [](const ReceiptCheck& check) { return check.passed; });
  return report;
}

}  // namespace coffer::audit
