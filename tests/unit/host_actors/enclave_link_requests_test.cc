// Requests over the link: answered by id, late, never.
#include <gmock/gmock.h>

#include "absl/strings/str_cat.h"
#include "tests/unit/host_actors/enclave_link_fixture.h"

namespace coffer::host::enclave_link_test {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

class EnclaveLinkRequestsTest : public EnclaveLinkTest {};

TEST_F(EnclaveLinkRequestsTest, RequestsAreAnsweredById) {
  Prepare(1);
  std::vector<ServerFrame> held;
  enclave_->on_request = [&](const ClientFrame&, ServerFrame& answer) {
    answer.mutable_accounts()->set_next_index(answer.request_id());
    held.push_back(answer);
    return false;
  };
  std::vector<int> order;
  for (int i = 0; i < 3; ++i) {
    ClientFrame request;
    request.mutable_list_accounts();
    host_->link.Call(request, [&, i](absl::StatusOr<ServerFrame> frame) {
      ASSERT_TRUE(frame.ok());
      EXPECT_EQ(frame->accounts().next_index(), frame->request_id());
      order.push_back(i);
    });
  }
  scheduler_.Advance(absl::Seconds(1));
  ASSERT_EQ(held.size(), 3u);
  for (int i : {2, 0, 1}) enclave_->Send(held[static_cast<size_t>(i)]);
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_EQ(order, (std::vector<int>{2, 0, 1}));
}

// The bytes that were written beforehand are the request that protobuf would have made of them.
TEST_F(EnclaveLinkRequestsTest, EventsThatWereWrittenBeforehandAreAnOrdinaryRequest) {
  Prepare(1);
  boundary::v1::ApplyEvents events;
  for (int i = 0; i < 300; ++i) {
    boundary::v1::Event* event = events.add_events();
    event->set_id(absl::StrCat("event ", i));
    event->set_account("account");
    event->mutable_amount()->set_low(static_cast<uint64_t>(i));
  }
  std::vector<ClientFrame> seen;
  enclave_->on_request = [&](const ClientFrame& frame, ServerFrame& answer) {
    seen.push_back(frame);
    answer.mutable_events_applied()->set_applied(300);
    return true;
  };
  uint32_t applied = 0;
  host_->link.CallApplyEvents(events.SerializeAsString(), [&](absl::StatusOr<ServerFrame> frame) {
    ASSERT_TRUE(frame.ok());
    EXPECT_EQ(frame->request_id(), seen.at(0).request_id());
    applied = frame->events_applied().applied();
  });
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_EQ(applied, 300u);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_NE(seen[0].request_id(), 0u);
  ClientFrame expected;
  expected.set_request_id(seen[0].request_id());
  *expected.mutable_apply_events() = events;
  EXPECT_EQ(seen[0].SerializeAsString(), expected.SerializeAsString());
}

TEST_F(EnclaveLinkRequestsTest, RequestsTimeOutAndALateAnswerIsIgnored) {
  options_.request_timeout = absl::Seconds(8);
  Prepare(1);
  std::vector<ServerFrame> held;
  enclave_->on_request = [&](const ClientFrame&, ServerFrame& answer) {
    answer.mutable_accounts();
    held.push_back(answer);
    return false;
  };
  int answers = 0;
  absl::Status status;
  ClientFrame request;
  request.mutable_list_accounts();
  host_->link.Call(request, [&](absl::StatusOr<ServerFrame> frame) {
    ++answers;
    status = frame.status();
  });
  scheduler_.Advance(absl::Seconds(11));
  EXPECT_EQ(answers, 1);
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  enclave_->Send(held.at(0));
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_EQ(answers, 1);
  EXPECT_TRUE(host_->link.ready());
}

}  // namespace
}  // namespace coffer::host::enclave_link_test
