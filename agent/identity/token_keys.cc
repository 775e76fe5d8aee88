#include "agent/identity/token_keys.h"

#include <google/protobuf/util/time_util.h>

#include <utility>

#include "common/base/log.h"
#include "common/base/status.h"
#include "common/builtin/secret_reference.h"
#include "common/pki/token_key.h"

namespace sallyport::agent {
namespace {

// While the control plane is away a key may sign for longer than its period, by so many.
constexpr int kPeriodsOfGrace = 2;

}  // namespace

absl::Status TokenKeys::AddKey() {
  ASSIGN_OR_RETURN(pki::TokenKeyPair pair, pki::MakeTokenKey());
  Key key;
  key.id = pki::KeyIdOf(pair.public_key);
  key.public_key = std::move(pair.public_key);
  key.seed = pair.seed;
  Wipe(&pair.seed);
  // It waits for one period, signs for the next.
  key.not_after = now_() + (2 + kPeriodsOfGrace) * period_ + pki::kTokenAfterlife;
  key.announced = number_ + 1;
  keys_.push_back(std::move(key));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<TokenKeys>> TokenKeys::Create(std::chrono::seconds period,
                                                             std::function<Time()> now) {
  std::unique_ptr<TokenKeys> keys(new TokenKeys(period, std::move(now)));
  MutexLock lock(&keys->mutex_);
  RETURN_IF_ERROR(keys->AddKey());
  RETURN_IF_ERROR(keys->AddKey());
  keys->number_ = 1;
  keys->since_ = keys->now_();
  return keys;
}

TokenKeys::~TokenKeys() {
  MutexLock lock(&mutex_);
  for (Key& key : keys_) Wipe(&key.seed);
}

TokenKeys::Announcement TokenKeys::announcement() const {
  MutexLock lock(&mutex_);
  Announcement announcement;
  announcement.number = number_;
  for (const Key& key : keys_) {
    v1::IdentityKeys::Key* const one = announcement.keys.add_keys();
    one->set_id(key.id);
    one->set_public_key(key.public_key);
    *one->mutable_not_after() = google::protobuf::util::TimeUtil::TimeTToTimestamp(
        std::chrono::system_clock::to_time_t(key.not_after));
  }
  return announcement;
}

uint64_t TokenKeys::announcement_number() const {
  MutexLock lock(&mutex_);
  return number_;
}

TokenKeys::Signing TokenKeys::signing() const {
  MutexLock lock(&mutex_);
  const Key& present = keys_[keys_.size() - 2];
  return {present.seed, present.id};
}

bool TokenKeys::Turn(uint64_t told) {
  MutexLock lock(&mutex_);
  const Time now = now_();
  // A clock that was put back must not make a key sign for longer.
  if (now < since_) since_ = now;
  if (now - since_ < period_) return false;
  const Key& present = keys_[keys_.size() - 2];
  const Key& next = keys_.back();
  // Past its time a token of the old key is of no more use than one of a key that nobody knows.
  if (told < next.announced && now < present.not_after - pki::kTokenAfterlife) return false;
  if (const absl::Status made = AddKey(); !made.ok()) {
    LogError(made.message());
    return false;
  }
  keys_[keys_.size() - 3].replaced = now;
  // One that waited for long is announced anew, with as much time to sign as any.
  Key& signing = keys_[keys_.size() - 2];
  const Time end = now + (1 + kPeriodsOfGrace) * period_ + pki::kTokenAfterlife;
  if (signing.not_after < end) {
    signing.not_after = end;
    signing.announced = number_ + 1;
  }
  std::erase_if(keys_, [now](Key& key) {
    if (key.replaced == Time::max() || now - key.replaced < pki::kTokenAfterlife) return false;
    Wipe(&key.seed);
    return true;
  });
  // Only its public half is needed any more.
  if (keys_.size() > 2) {
    for (size_t i = 0; i + 2 < keys_.size(); ++i) Wipe(&keys_[i].seed);
  }
  since_ = now;
  ++number_;
  return true;
}

}  // namespace sallyport::agent
