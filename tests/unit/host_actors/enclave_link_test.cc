// The link and the store together.
#include "actors/host/enclave_link.h"

#include <gmock/gmock.h>

#include "tests/unit/host_actors/enclave_link_fixture.h"

namespace coffer::host::enclave_link_test {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using ::testing::HasSubstr;

TEST_F(EnclaveLinkTest, AnEmptyStoreMakesANewState) {
  StartHost();
  EXPECT_FALSE(host_->link.ready());
  ASSERT_TRUE(UntilReady());
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_EQ(enclave_->loads, 1);
  EXPECT_TRUE(enclave_->loaded.empty());
  EXPECT_EQ(enclave_->stored_, 1u) << "the genesis record is stored";
  EXPECT_EQ(host_->link.not_ready_reason(), "");
  EXPECT_EQ(host_->readiness, std::vector<bool>{true});
}

TEST_F(EnclaveLinkTest, AnEnclaveWithoutAKeyIsWaitedFor) {
  enclave_->phase = boundary::v1::PHASE_UNPROVISIONED;
  StartHost();
  scheduler_.Advance(absl::Minutes(1));
  EXPECT_EQ(host_->link.not_ready_reason(), "the enclave has no key yet");
  EXPECT_EQ(enclave_->loads, 0);
  enclave_->phase = boundary::v1::PHASE_EMPTY;  // somebody gave it one
  EXPECT_TRUE(UntilReady());
}

TEST_F(EnclaveLinkTest, AnEnclaveThatKeepsNoStorageIsLeftAlone) {
  enclave_->phase = boundary::v1::PHASE_READY;
  enclave_->without_storage = true;
  StartHost();
  ASSERT_TRUE(UntilReady());
  scheduler_.Advance(absl::Minutes(1));
  EXPECT_EQ(enclave_->loads, 0);
  EXPECT_EQ(enclave_->attaches, 0);
  EXPECT_EQ(host_->link.counters().connections, 1u);
  bool answered = false;
  host_->main->Post([&] {
    ClientFrame request;
    request.mutable_status();
    host_->link.Call(std::move(request),
                     [&](absl::StatusOr<ServerFrame> frame) { answered = frame.ok(); });
  });
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_TRUE(answered);
}

TEST_F(EnclaveLinkTest, AnUnfitEnclaveIsGivenNothing) {
  StartHost();
  host_->fit = absl::FailedPreconditionError("it has another address");
  EXPECT_FALSE(UntilReady());
  EXPECT_EQ(enclave_->loads, 0);
  EXPECT_EQ(host_->link.not_ready_reason(), "it has another address");
  host_->fit = absl::OkStatus();
  EXPECT_TRUE(UntilReady());
}

TEST_F(EnclaveLinkTest, WhatWaitsIsStoredTogetherAndAcknowledgedOnce) {
  StartHost();
  ASSERT_TRUE(UntilReady());
  scheduler_.Advance(absl::Seconds(1));
  const uint64_t before = host_->store.status().groups;
  Seal(100);
  EXPECT_EQ(enclave_->stored_, 101u);
  EXPECT_LT(host_->store.status().groups - before, 100u);
  EXPECT_EQ(host_->store.status().last_sequence, 101u);
}

TEST_F(EnclaveLinkTest, AFreshEnclaveGetsSnapshotAndRecordsInOrder) {
  Prepare(50);
  for (uint32_t i = 0; i < 3; ++i) enclave_->SendChunk(30, i, 3);
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_EQ(enclave_->stored_snapshot, 30u);
  EXPECT_EQ(enclave_->stored_chunks, 3u);

  options_.load_window = 4;
  NewEnclave();
  enclave_->sealed_ = 50;
  StartHost();
  ASSERT_TRUE(UntilReady());
  std::vector<std::string> expected;
  for (uint32_t i = 0; i < 3; ++i) expected.push_back(ScriptedEnclave::ChunkBytes(30, i));
  for (uint64_t s = 31; s <= 50; ++s) expected.push_back(ScriptedEnclave::RecordBytes(s));
  EXPECT_EQ(enclave_->loaded, expected);
  Seal(3);
  EXPECT_EQ(enclave_->stored_, 53u);
}

TEST_F(EnclaveLinkTest, ALivingEnclaveIsAttachedToWithTheLastHash) {
  Prepare(5);
  StartHost();  // the host was restarted, the enclave was not
  ASSERT_TRUE(UntilReady());
  EXPECT_EQ(enclave_->attaches, 1);
  EXPECT_EQ(enclave_->attached_sequence, 5u);
  const RecordDigest digest = DigestOf(ScriptedEnclave::RecordBytes(5));
  EXPECT_EQ(enclave_->attached_hash, std::string(digest.begin(), digest.end()));
}

TEST_F(EnclaveLinkTest, RecordsSentAgainAreAcknowledgedAgain) {
  Prepare(5);
  enclave_->stored_ = 2;  // the acknowledgements were lost
  StartHost();
  ASSERT_TRUE(UntilReady());
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_EQ(enclave_->stored_, 5u);
  Seal(1);
  EXPECT_EQ(enclave_->stored_, 6u);
  EXPECT_EQ(host_->store.status().last_sequence, 6u);
}

TEST_F(EnclaveLinkTest, OtherBytesForAStoredRecordStopTheLink) {
  Prepare(5);
  enclave_->stored_ = 4;
  enclave_->fork_ = true;
  StartHost();
  scheduler_.Advance(absl::Seconds(3));
  EXPECT_FALSE(host_->link.ready());
  EXPECT_THAT(host_->link.not_ready_reason(), HasSubstr("record 5 again with other bytes"));
  EXPECT_EQ(host_->store.status().last_sequence, 5u);
  const int before = enclave_->attaches;
  scheduler_.Advance(absl::Seconds(10));
  EXPECT_EQ(enclave_->attaches, before) << "tried again too soon";
}

TEST_F(EnclaveLinkTest, LeavesCountAmongWhatIsOutstandingAndAreNeverLoaded) {
  options_.store_bytes = 4096;  // far less than what is sent: reading pauses and goes on
  enclave_->leaves = [](uint64_t s) { return std::string(s % 7 * 300, 'l'); };
  Prepare(200);
  // Sent again with other leaves: the sealed bytes decide, and what was counted is settled.
  enclave_->leaves = [](uint64_t) { return std::string(1000, 'o'); };
  enclave_->stored_ = 100;
  StartHost();
  ASSERT_TRUE(UntilReady());
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_EQ(enclave_->stored_, 200u);
  Seal(100);
  EXPECT_EQ(enclave_->stored_, 300u);
  NewEnclave();
  enclave_->sealed_ = 300;
  StartHost();
  ASSERT_TRUE(UntilReady());
  ASSERT_EQ(enclave_->loaded.size(), 300u);
  for (uint64_t s = 1; s <= 300; ++s) {
    EXPECT_EQ(enclave_->loaded[s - 1], ScriptedEnclave::RecordBytes(s));
  }
}

TEST_F(EnclaveLinkTest, AGapStopsTheLink) {
  Prepare(5);
  enclave_->SendRecord(7);
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_FALSE(host_->link.ready());
  EXPECT_EQ(enclave_->stored_, 5u);
  EXPECT_EQ(host_->store.status().last_sequence, 5u);
}

TEST_F(EnclaveLinkTest, ChunksWithoutABeginningAreNeverAcknowledgedAndStopNothing) {
  Prepare(5);
  enclave_->SendChunk(5, 1, 3);
  Seal(1);
  EXPECT_TRUE(host_->link.ready());
  EXPECT_EQ(enclave_->stored_snapshot, 0u);
  EXPECT_EQ(enclave_->stored_, 6u);
}

TEST_F(EnclaveLinkTest, ARefusedStateIsSaidAndTriedSlowly) {
  Prepare(3);
  NewEnclave();
  enclave_->refuse_load = "record 2 was altered: its tag does not match";
  StartHost();
  scheduler_.Advance(absl::Seconds(5));
  EXPECT_FALSE(host_->link.ready());
  EXPECT_THAT(host_->link.not_ready_reason(), HasSubstr("record 2 was altered"));
  EXPECT_THAT(host_->problems, ::testing::Contains(HasSubstr("record 2 was altered")));
  EXPECT_EQ(enclave_->loads, 1);
  enclave_->refuse_load.clear();
  enclave_->sealed_ = 3;
  EXPECT_TRUE(UntilReady()) << "it is tried again in the end";
}

TEST_F(EnclaveLinkTest, ARefusedAttachIsSaid) {
  Prepare(3);
  enclave_->refuse_attach = "this storage ends at record 3, but record 4 was acknowledged";
  StartHost();
  scheduler_.Advance(absl::Seconds(5));
  EXPECT_FALSE(host_->link.ready());
  EXPECT_THAT(host_->link.not_ready_reason(), HasSubstr("record 4 was acknowledged"));
}

TEST_F(EnclaveLinkTest, AnEnclaveThatHangsIsSaidAndComesBack) {
  options_.request_timeout = absl::Seconds(8);
  Prepare(2);
  enclave_->mute = true;
  ClientFrame request;
  request.mutable_list_accounts();
  host_->link.Call(request, [&](const absl::StatusOr<ServerFrame>& frame) {
    EXPECT_TRUE(absl::IsUnavailable(frame.status()));
  });
  ASSERT_TRUE(scheduler_.RunUntil([this] { return !host_->link.ready(); }, absl::Seconds(22)));
  EXPECT_THAT(host_->link.not_ready_reason(), HasSubstr("the enclave hangs"));
  EXPECT_THAT(host_->problems, ::testing::Contains(HasSubstr("sent nothing for")));
  scheduler_.Advance(absl::Seconds(30));
  EXPECT_FALSE(host_->link.ready());
  enclave_->mute = false;
  ASSERT_TRUE(UntilReady());
  Seal(3);
  EXPECT_EQ(enclave_->stored_, 5u);
}

TEST_F(EnclaveLinkTest, AnEnclaveThatIsOnlySlowKeepsItsConnection) {
  options_.request_timeout = absl::Seconds(8);
  Prepare(1);
  // It answers a status and not the rest: as with credits that wait for a full disk.
  enclave_->on_request = [&](const ClientFrame&, ServerFrame&) { return false; };
  ClientFrame request;
  request.mutable_list_accounts();
  for (int i = 0; i < 5; ++i) {
    host_->link.Call(request, [](const absl::StatusOr<ServerFrame>&) {});
    scheduler_.Advance(absl::Seconds(20));
  }
  EXPECT_EQ(host_->readiness, std::vector<bool>{true});
}

TEST_F(EnclaveLinkTest, ALostConnectionAnswersWhatIsInFlightAndComesBack) {
  Prepare(2);
  enclave_->mute = true;
  int answers = 0;
  ClientFrame request;
  request.mutable_list_accounts();
  host_->link.Call(request, [&](absl::StatusOr<ServerFrame> frame) {
    ++answers;
    EXPECT_TRUE(absl::IsUnavailable(frame.status()));
  });
  scheduler_.Advance(absl::Milliseconds(10));
  enclave_->mute = false;
  wire_.Reset(at_);
  scheduler_.RunUntil([&] { return answers > 0; }, absl::Seconds(5));
  EXPECT_EQ(answers, 1);
  host_->link.Call(request, [&](absl::StatusOr<ServerFrame> frame) {
    ++answers;
    EXPECT_TRUE(absl::IsUnavailable(frame.status()));
  });
  EXPECT_EQ(answers, 1) << "later, never in the call";
  ASSERT_TRUE(UntilReady());
  EXPECT_EQ(answers, 2);
  EXPECT_EQ(host_->readiness, (std::vector<bool>{true, false, true}));
}

TEST_F(EnclaveLinkTest, NoEnclaveIsRetriedForEver) {
  enclave_.reset();
  StartHost();
  scheduler_.Advance(absl::Minutes(1));
  EXPECT_THAT(host_->link.not_ready_reason(), HasSubstr("vsock://16:5000"));
  NewEnclave();
  EXPECT_TRUE(UntilReady());
}

TEST_F(EnclaveLinkTest, GarbageFromTheEnclaveDropsTheConnection) {
  Prepare(1);
  for (const std::string& garbage : {std::string("\xff\xff\xff"), std::string("{\"a\":1}"),
                                     [] {
                                       ServerFrame frame;
                                       frame.set_request_id(123456);
                                       frame.mutable_accounts();
                                       return frame.SerializeAsString();
                                     }(),
                                     [] {
                                       ServerFrame frame;
                                       frame.mutable_store()->set_sequence(2);
                                       return frame.SerializeAsString();
                                     }()}) {
    ASSERT_TRUE(UntilReady());
    enclave_->SendRaw(garbage);
    scheduler_.Advance(absl::Seconds(1));
    EXPECT_FALSE(host_->link.ready());
  }
}

TEST_F(EnclaveLinkTest, AFullDiskAcknowledgesNothingUntilThereIsSpace) {
  Prepare(1);
  disk_.set_capacity(0);
  Seal(100);  // more than the allocated space holds
  const uint64_t stuck = enclave_->stored_;
  EXPECT_LT(stuck, 101u);
  EXPECT_THAT(host_->store.status().trouble, HasSubstr("disk is full"));
  Seal(10);
  EXPECT_EQ(enclave_->stored_, stuck);
  disk_.set_capacity(~uint64_t{0});
  scheduler_.Advance(absl::Seconds(3));
  EXPECT_EQ(enclave_->stored_, 111u);
  EXPECT_EQ(host_->store.status().trouble, "");
}

TEST_F(EnclaveLinkTest, TooManyOpenFilesPassWithoutARestart) {
  Prepare(1);
  disk_.FailAt(disk_.operations() + 1, absl::UnavailableError("Too many open files"), 5);
  Seal(100);
  EXPECT_LT(enclave_->stored_, 101u);
  EXPECT_THAT(host_->store.status().trouble, HasSubstr("too many open files"));
  scheduler_.Advance(absl::Seconds(30));
  EXPECT_EQ(enclave_->stored_, 101u);
  EXPECT_EQ(host_->store.status().trouble, "");
}

TEST_F(EnclaveLinkTest, AFailedSyncStopsAcknowledgementsUntilARestart) {
  Prepare(3);
  disk_.FailSyncs(absl::DataLossError("fdatasync failed: Input/output error"));
  Seal(1);
  disk_.FailSyncs(absl::OkStatus());  // a second fdatasync would claim success
  Seal(5);
  EXPECT_EQ(enclave_->stored_, 3u);
  EXPECT_THAT(host_->store.status().trouble, HasSubstr("restarted"));
  StartHost();
  ASSERT_TRUE(UntilReady());
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_EQ(enclave_->stored_, 9u) << "the enclave sent again what was not acknowledged";
}

TEST_F(EnclaveLinkTest, ASlowStorePausesReadingAndLosesNothing) {
  options_.store_messages = 8;
  Prepare(1);
  disk_.set_capacity(0);
  for (int i = 0; i < 500; ++i) enclave_->Seal();
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_LE(host_->to_store.size(), 8u);
  disk_.set_capacity(~uint64_t{0});
  scheduler_.Advance(absl::Seconds(10));
  EXPECT_EQ(enclave_->stored_, 501u);
}

TEST_F(EnclaveLinkTest, StopWaitsForTheStore) {
  Prepare(1);
  for (int i = 0; i < 20; ++i) enclave_->Seal();
  scheduler_.Advance(absl::Milliseconds(1));
  bool stopped = false;
  host_->link.Stop([&] { stopped = true; });
  EXPECT_FALSE(host_->link.ready());
  scheduler_.Advance(absl::Seconds(5));
  EXPECT_TRUE(stopped);
  EXPECT_EQ(host_->link.in_flight(), 0u);
}

}  // namespace
}  // namespace coffer::host::enclave_link_test
