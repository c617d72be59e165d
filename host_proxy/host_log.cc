#include "host_proxy/host_log.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/log.h"

namespace coffer::host_proxy {

using runtime::Level;
using runtime::Log;

namespace {

constexpr char kComponent[] = "log";
// The publisher has one command under way, and the writer answers each once.
constexpr size_t kMailbox = 16;

}  // namespace

HostLog::HostLog(runtime::EventLoop* loop, runtime::Dispatcher* store)
    :  // Proofs and the index can wait; what is owed and paid, on the other threads, goes first.
      reader_thread_("coffer-log", runtime::EventLoopThread::Priority::kBackground),
      contents_thread_("coffer-texts"),
      sync_thread_("coffer-sync"),
      to_writer_(store, "log writer", kMailbox),
      to_publisher_(loop, "log publisher", kMailbox) {}

HostLog::~HostLog() {
  reader_thread_.StopAndJoin();
  contents_thread_.StopAndJoin();
  sync_thread_.StopAndJoin();
}

absl::StatusOr<std::unique_ptr<HostLog>> HostLog::Create(runtime::EventLoop* loop,
                                                         runtime::Dispatcher* store,
                                                         const host::RecordStore* records,
                                                         runtime::Random* random,
                                                         const HostOptions& options) {
  const std::string folder = absl::StrCat(options.data_dir, "/log");
  std::unique_ptr<HostLog> log(new HostLog(loop, store));
  absl::StatusOr<std::unique_ptr<host::OsLogFiles>> files = host::OsLogFiles::Open(folder);
  if (!files.ok()) return files.status();
  log->files_ = *std::move(files);
  log->files_->UseBackground(log->sync_thread_.loop());
  host::LogReader::Options reader;
  reader.folder = folder;
  reader.index_path = absl::StrCat(options.data_dir, "/log-index.sqlite");
  log->reader_ = std::make_unique<host::LogReader>(reader, log->reader_thread_.loop(), loop);
  files = host::OsLogFiles::Open(absl::StrCat(options.data_dir, "/contents"));
  if (!files.ok()) return files.status();
  log->content_files_ = *std::move(files);
  log->contents_ = std::make_unique<host::ContentStore>(log->content_files_.get(),
                                                        log->contents_thread_.loop(), loop);
  if (!options.witness_policy_path.empty()) {
    absl::StatusOr<audit::QuorumPolicy> policy =
        host::ReadWitnessPolicy(options.witness_policy_path);
    if (!policy.ok()) return policy.status();
    absl::StatusOr<std::unique_ptr<host::HttpClient>> http = host::HttpClient::Create(loop, {});
    if (!http.ok()) return http.status();
    log->http_ = *std::move(http);
    log->proofs_ = std::make_unique<host::TileProofs>(log->files_.get(), store, loop);
    host::WitnessClientOptions witness_options;
    witness_options.timeout = options.witness_timeout;
    absl::StatusOr<std::unique_ptr<host::WitnessClient>> witnesses = host::WitnessClient::Create(
        loop, log->http_.get(), log->proofs_.get(), random, *std::move(policy), witness_options);
    if (!witnesses.ok()) return witnesses.status();
    log->witnesses_ = *std::move(witnesses);
  }
  log->writer_ = std::make_unique<host::LogWriter>(host::LogWriter::Options{}, store,
                                                   log->files_.get(), records, &log->to_publisher_);
  log->publisher_ = std::make_unique<host::LogPublisher>(host::LogPublisher::Options{}, loop,
                                                         &log->to_writer_, log->witnesses_.get());
  log->to_writer_.Bind(log->writer_.get());
  log->to_publisher_.Bind(log->publisher_.get());
  return log;
}

void HostLog::Start() {
  publisher_->Watch([this](const host::LogPublisher::Published&) {
    reader_thread_.loop()->Post([this] { reader_->Wake(); });
  });
  writer_->Start();
  reader_thread_.loop()->Post([this] { reader_->Start(); });
}

void HostLog::Follow(host::EnclaveLink* link) {
  link_ = link;
  link->OnSignedHead([this](boundary::v1::AuditCheckpoint head) {
    // The key comes with the status of an enclave that has a state; this head is asked for then.
    if (publisher_->log_key().has_value()) Take(head);
  });
  link->Watch([this](bool ready) {
    if (ready) AskForKey();
  });
}

void HostLog::Take(const boundary::v1::AuditCheckpoint& head) {
  if (const absl::Status taken = publisher_->OnSignedHead(head); !taken.ok()) {
    Log(Level::kError, kComponent, "a head of the enclave is refused", {{"why", taken}});
  }
}

// Each time the enclave is there: it may be another one, and a living one that has signed its
// newest head already does not push it again.
void HostLog::AskForKey() {
  boundary::v1::ClientFrame frame;
  frame.mutable_status();
  link_->Call(std::move(frame), [this](absl::StatusOr<boundary::v1::ServerFrame> answer) {
    if (!answer.ok() || answer->status().audit().log_key().empty()) return;
    if (answer->status().without_storage()) return;  // nobody has its leaves
    const absl::Status key = publisher_->UseLogKey(answer->status().audit().log_key());
    if (!key.ok()) {
      return Log(Level::kError, kComponent, "the enclave's log is refused", {{"why", key}});
    }
    AskForHead();
  });
}

void HostLog::AskForHead() {
  boundary::v1::ClientFrame frame;
  frame.mutable_get_checkpoint();
  link_->Call(std::move(frame), [this](absl::StatusOr<boundary::v1::ServerFrame> answer) {
    if (answer.ok() && answer->has_audit_checkpoint()) Take(answer->audit_checkpoint());
  });
}

std::vector<std::string> HostLog::Warnings() const {
  std::vector<std::string> warnings;
  const host::LogWriter::Status writer = writer_->status();
  const host::LogPublisher::Status publisher = publisher_->status();
  for (const std::string& one :
       {writer.alarm, writer.trouble, publisher.alarm, publisher.trouble}) {
    if (!one.empty()) warnings.push_back(one);
  }
  if (!publisher.satisfied) {
    warnings.push_back(absl::StrCat("the log's witnesses: ", publisher.witnesses));
  }
  if (witnesses_ != nullptr) {
    for (std::string& alarm : witnesses_->alarms()) warnings.push_back(std::move(alarm));
  }
  return warnings;
}

Json::Value HostLog::StatusJson() const {
  const host::LogWriter::Status writer = writer_->status();
  const host::LogPublisher::Status publisher = publisher_->status();
  const auto number = [](uint64_t value) { return Json::Value(static_cast<Json::UInt64>(value)); };
  Json::Value json;
  json["key"] = publisher_->log_key().has_value() ? Json::Value(publisher_->log_key()->ToString())
                                                  : Json::Value();
  json["size"] = number(writer.size);
  json["durable_size"] = number(writer.durable_size);
  json["published_size"] = number(writer.published_size);
  json["signed_size"] = number(publisher.signed_size);
  json["recovering"] = writer.recovering;
  json["witnesses"] = publisher.witnesses;
  json["warnings"] = Json::Value(Json::arrayValue);
  for (const std::string& warning : Warnings()) json["warnings"].append(warning);
  return json;
}

}  // namespace coffer::host_proxy
