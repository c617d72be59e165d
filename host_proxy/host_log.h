// The transparency log of coffer-host, put together: its writer on the store's thread, its reader
// on a thread of its own, the publisher and the witnesses on the main loop.
#ifndef COFFER_HOST_PROXY_HOST_LOG_H_
#define COFFER_HOST_PROXY_HOST_LOG_H_

#include <json/value.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "actors/host/enclave_link.h"
#include "actors/host/http_client.h"
#include "actors/host/log/content_store.h"
#include "actors/host/log/log_publisher.h"
#include "actors/host/log/log_reader.h"
#include "actors/host/log/log_writer.h"
#include "actors/host/log/os_log_files.h"
#include "actors/host/log/tile_proofs.h"
#include "actors/host/log/witness_client.h"
#include "host_proxy/host_options.h"
#include "runtime/event_loop.h"

namespace coffer::host_proxy {

class HostLog {
 public:
  // Opens <data-dir>/log. `store` is the dispatcher of the store's thread, `records` what it keeps;
  // all outlive this object's use of them (see the destructor).
  static absl::StatusOr<std::unique_ptr<HostLog>> Create(runtime::EventLoop* loop,
                                                         runtime::Dispatcher* store,
                                                         const host::RecordStore* records,
                                                         runtime::Random* random,
                                                         const HostOptions& options);
  // Ends the threads of its own. The store's thread has ended before.
  ~HostLog();

  // Follows the enclave's heads. Before the link is started; `link` outlives this object's loop.
  void Follow(host::EnclaveLink* link);
  void Start();

  host::LeafSink* sink() { return writer_.get(); }
  host::LogReader* reader() { return reader_.get(); }
  host::ContentStore* contents() { return contents_.get(); }
  const host::LogWriter& writer() const { return *writer_; }
  const host::LogPublisher& publisher() const { return *publisher_; }
  const host::WitnessClient* witnesses() const { return witnesses_.get(); }
  // What somebody has to look at, as sentences. The log being in trouble keeps no payment back, so
  // that none of these is a reason not to be ready.
  std::vector<std::string> Warnings() const;
  // For the host's status.
  Json::Value StatusJson() const;

 private:
  HostLog(runtime::EventLoop* loop, runtime::Dispatcher* store);

  void Take(const boundary::v1::AuditCheckpoint& head);
  void AskForKey();
  void AskForHead();

  host::EnclaveLink* link_ = nullptr;
  runtime::EventLoopThread reader_thread_;
  runtime::EventLoopThread contents_thread_;  // credits wait for it, so no stranger may fill it
  runtime::EventLoopThread sync_thread_;  // begins to sync the log, so that the store waits less
  std::unique_ptr<host::OsLogFiles> files_;
  std::unique_ptr<host::LogReader> reader_;
  std::unique_ptr<host::OsLogFiles> content_files_;
  std::unique_ptr<host::ContentStore> contents_;
  std::unique_ptr<host::TileProofs> proofs_;        // for the witnesses, before a head is published
  std::unique_ptr<host::HttpClient> http_;          // to the witnesses
  std::unique_ptr<host::WitnessClient> witnesses_;  // null: none are asked
  runtime::Mailbox<host::LogCommand> to_writer_;
  runtime::Mailbox<host::LogEvent> to_publisher_;
  std::unique_ptr<host::LogWriter> writer_;
  std::unique_ptr<host::LogPublisher> publisher_;
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_HOST_LOG_H_
