// The adversary itself: carries out the actions of a plan, keeps everything it is handed, and
// counts what it is answered.
#ifndef COFFER_TESTS_SIM_ADVERSARY_HOSTILE_HOST_H_
#define COFFER_TESTS_SIM_ADVERSARY_HOSTILE_HOST_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/adversary/adversary_run.h"
#include "tests/sim/adversary/hostile_world.h"
#include "tests/sim/adversary/key_sets.h"
#include "tests/sim/adversary/memory.h"

namespace coffer::sim {

class HostileHost {
 public:
  using Session = HostileWorld::Session;
  using StateKey = boundary::v1::StateKey;
  using NextSigningKey = boundary::v1::NextSigningKey;

  // `seed`: of its habits.
  HostileHost(HostileWorld* world, AdversaryOptions::Mode mode, uint64_t seed);

  void Act(const HostileAction& action);
  const AdversaryResult& counted() const { return counted_; }

 private:
  struct Draw;  // the numbers of an action, one after the other
  struct Place {
    std::vector<Session*> sessions;  // ever made, of the process that runs now
    Session* storage = nullptr;      // that loads or attached
    bool answered = false;           // a state is loaded, as far as it was told
    bool loading = false;
    bool acknowledges = true;         // at once, everything
    KeySet keys;                      // of the state, as far as it was told
    std::optional<StateKey> pending;  // that was made, and not adopted
    // Addresses of signing keys: the one that signs what is new, the one that drains, the one that
    // was made or given and is not adopted. Empty: none, or it was not told.
    std::string current, draining, waiting;
    bool lost = false;  // it has a key that nobody was told of
    int newest = -1;    // record that was handed out, or that was loaded
    int acknowledged = -1;
  };

  // How often it does what needs several steps to come to something, as one in so many.
  struct Habits {
    uint64_t transfers = 5, failures = 5, small_deposits = 3;
  };

  // ---- hostile_host.cc: processes, storage, loads
  size_t Where(const HostileAction& action, Draw& draw) const;
  void Recover(size_t slot, Draw& draw);
  Session* Connect(size_t slot);
  Session* Any(size_t slot, Draw& draw);
  void Kill(size_t slot);
  void Load(size_t slot, uint64_t how, Draw& draw);
  int ChooseRecord(Draw& draw) const;
  bool MayLoad(size_t slot) const;
  void Exchange(Draw& draw, std::string* sealed) const;
  // ---- hostile_keys.cc: provisioning, by what it was given or by what it made
  KeySet FirstKeys() const;
  KeySet AnyKeys(Draw& draw) const;
  bool HasKeys(const Place& place) const;
  void Provision(Session* session, Draw& draw);
  StateKey HostsKey(const boundary::v1::SigningKey& of, uint32_t epoch, Draw& draw);
  NextSigningKey HostsSigningKey(const boundary::v1::SigningKey& after, uint32_t state_epoch,
                                 Draw& draw);
  void BadProvision(uint64_t how, Draw& draw, boundary::v1::ClientFrame* out);
  void BadStateKeys(uint64_t how, Draw& draw, boundary::v1::Provision* request);
  void BadSigningKeys(uint64_t how, Draw& draw, boundary::v1::Provision* request);
  void Keys(uint64_t how, Draw& draw, boundary::v1::ClientFrame* out);
  void LearnKeys(Place& place, const boundary::v1::ServerFrame& answer);
  void LearnStatus(Place& place, const boundary::v1::Status& status);
  void NoteSealed(Place& place, int record, const boundary::v1::Store& store);
  // The next step of a rotation of the signing key, as an honest host does it.
  void Rotate(size_t slot, uint64_t how, Draw& draw);
  void SettleAllOf(Session* session, const std::string& address);
  std::vector<ethereum::Address> Signers() const;
  std::string ForeignRecord(const KeptRecord& last, Draw& draw) const;
  void LoadPiece(size_t slot, uint64_t how, Draw& draw);
  void Attach(size_t slot, uint64_t how, Draw& draw);
  void Acknowledge(size_t slot, uint64_t how, Draw& draw);
  bool MayAcknowledge(size_t slot) const;
  void Stored(size_t slot, Session* session, uint64_t sequence);
  void OnFrame(Session* session, const std::string& payload);
  void OnStore(Session* session, const boundary::v1::Store& store);
  void Count(const std::string& kind, const boundary::v1::ServerFrame& answer);
  uint64_t Send(Session* session, boundary::v1::ClientFrame frame);

  // ---- hostile_requests.cc: everything that is asked of a loaded state
  boundary::v1::ClientFrame Request(Kind kind, uint64_t how, Draw& draw);
  void NewEvents(Draw& draw, boundary::v1::ApplyEvents* out);
  boundary::v1::Event NewEvent(Draw& draw);
  boundary::v1::Event Repeat(uint64_t how, Draw& draw);
  // ---- hostile_signatures.cc: what its reporter signed, and what it makes of that
  void SignEvents(Draw& draw, boundary::v1::ApplyEvents* out) const;
  // ---- hostile_requests.cc
  // Of this address: of who signs.
  void Reading(const std::string& address, Draw& draw, boundary::v1::ChainReading* out) const;
  std::string SignerOf(uint64_t payout) const;
  void Funding(uint64_t how, Draw& draw, boundary::v1::PrepareFunding* out) const;
  void Move(boundary::v1::Strategy strategy, Draw& draw, boundary::v1::PrepareFunding* out) const;
  void Fees(Draw& draw, boundary::v1::Fees* out) const;
  uint64_t PayoutId(Draw& draw) const;
  uint64_t FailedPayout(Draw& draw) const;
  void Bump(Draw& draw, boundary::v1::BumpTransaction* out) const;
  void Prepare(Draw& draw, boundary::v1::PreparePayout* out) const;
  boundary::v1::ReportReceipt Receipt(uint64_t how, Draw& draw);
  void AddRedemptions(const KeptTransaction& kept, uint64_t how, Draw& draw,
                      boundary::v1::ReportReceipt* out) const;
  std::string Transaction(Draw& draw) const;  // a hash, mostly of one that was signed
  void Read(uint64_t how, Draw& draw, boundary::v1::ClientFrame* out) const;
  void Sign(uint64_t how, Draw& draw, boundary::v1::ClientFrame* out) const;
  void ChangePolicy(uint64_t how, Draw& draw, boundary::v1::ChangePolicy* out);

  HostileWorld* const world_;
  const AdversaryOptions::Mode mode_;
  Habits habits_;
  Memory memory_;
  Place places_[kSlots];
  const Place* asked_place_ = &places_[0];  // whom the request is for that is being made
  std::map<std::pair<uint64_t, uint64_t>, std::string> asked_;  // names, by session and id
  uint64_t last_id_ = 0;
  uint64_t event_count_ = 0;
  uint64_t policy_sequence_ = 0;
  int released_ = -1;  // the newest record that was acknowledged to anybody
  std::string blob_;   // the last export
  const std::string signing_ciphertext_;
  std::string foreign_ciphertext_;    // of a signing key of its own
  std::vector<NextSigningKey> made_;  // by enclaves, all of them
  std::map<uint64_t, KeySet> given_;  // by the request that provisions with them
  std::map<int, KeySet> keys_of_;     // those that a record's state needs
  AdversaryResult counted_;
};

struct HostileHost::Draw {
  explicit Draw(uint64_t seed) : random(seed) {}
  uint64_t Below(uint64_t bound) { return random.Below(bound); }
  bool OneIn(uint64_t n) { return random.Below(n) == 0; }
  runtime::SeededRandom random;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_ADVERSARY_HOSTILE_HOST_H_
