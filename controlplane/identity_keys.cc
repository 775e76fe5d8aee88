#include "controlplane/identity_keys.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <set>
#include <vector>

#include "absl/strings/escaping.h"
#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/pki/token_key.h"

namespace sallyport {
namespace {

using Key = v1::IdentityKeys::Key;
using Seconds = std::chrono::seconds;
using Time = std::chrono::system_clock::time_point;

int64_t SecondsOf(Time time) {
  return std::chrono::duration_cast<Seconds>(time.time_since_epoch()).count();
}

absl::Status CheckAnnounced(const v1::IdentityKeys& announced) {
  if (announced.keys_size() > kMaxIdentityKeys) {
    return absl::InvalidArgumentError(
        StrCat("identity_keys: has more than ", kMaxIdentityKeys, " keys; drop those of the past"));
  }
  for (const Key& key : announced.keys()) {
    if (key.public_key().size() == pki::kEd25519KeyBytes &&
        key.id() == pki::KeyIdOf(key.public_key()))
      continue;
    return absl::InvalidArgumentError(
        StrCat("identity_keys: ", Quote(key.id()),
               " is no Ed25519 key that is called by its thumbprint (RFC 7638)"));
  }
  return absl::OkStatus();
}

v1::IdentityKeys Parse(const std::string* stored) {
  v1::IdentityKeys keys;
  if (stored != nullptr && !keys.ParseFromString(*stored)) keys.Clear();
  return keys;
}

// At most that many, and none that is over.
v1::IdentityKeys Bounded(std::vector<Key> keys, int64_t now) {
  std::erase_if(keys, [now](const Key& key) { return key.not_after().seconds() <= now; });
  std::sort(keys.begin(), keys.end(), [](const Key& a, const Key& b) {
    const int64_t a_end = a.not_after().seconds();
    const int64_t b_end = b.not_after().seconds();
    return a_end != b_end ? a_end > b_end : a.id() < b.id();
  });
  if (keys.size() > kMaxIdentityKeys) keys.resize(kMaxIdentityKeys);
  v1::IdentityKeys bounded;
  for (Key& key : keys) *bounded.add_keys() = std::move(key);
  return bounded;
}

Key Until(Key key, int64_t latest) {
  const int64_t end = std::min(key.not_after().seconds(), latest);
  *key.mutable_not_after() = google::protobuf::util::TimeUtil::SecondsToTimestamp(end);
  return key;
}

// Of hosts that are no more. Only when a host comes that was not there: the table grows by those.
void DropWhatIsOver(int64_t now, Transaction* transaction) {
  std::vector<std::string> over;
  transaction->state().identity_keys.ForEach(
      [&](const std::string& host, const std::string& stored) {
        const v1::IdentityKeys keys = Parse(&stored);
        if (std::none_of(keys.keys().begin(), keys.keys().end(),
                         [now](const Key& key) { return key.not_after().seconds() > now; })) {
          over.push_back(host);
        }
      });
  for (const std::string& host : over) transaction->DeleteIdentityKeys(host);
}

}  // namespace

absl::Status AnnounceIdentityKeys(const std::string& host, const v1::IdentityKeys& announced,
                                  Time now, Transaction* transaction) {
  RETURN_IF_ERROR(CheckAnnounced(announced));
  const auto before = transaction->state().identity_keys.Find(host);
  if (before == nullptr) DropWhatIsOver(SecondsOf(now), transaction);
  std::vector<Key> keys;
  std::set<std::string> ids;
  for (const Key& key : announced.keys()) {
    if (ids.insert(key.id()).second)
      keys.push_back(Until(key, SecondsOf(now + kMaxIdentityKeyLife)));
  }
  const v1::IdentityKeys former = Parse(before.get());
  for (const Key& key : former.keys()) {
    if (!ids.contains(key.id())) keys.push_back(Until(key, SecondsOf(now + pki::kTokenAfterlife)));
  }
  transaction->PutIdentityKeys(host, Bounded(std::move(keys), SecondsOf(now)).SerializeAsString());
  return absl::OkStatus();
}

std::string IdentityJwks(const State& state, Time now) {
  std::string keys;
  for (const auto& [host, stored] : state.identity_keys.Sorted()) {
    const v1::IdentityKeys kept = Parse(stored.get());
    for (const Key& key : kept.keys()) {
      if (key.not_after().seconds() <= SecondsOf(now)) continue;
      // Neither a host's name nor base64url needs escapes.
      keys += StrCat(keys.empty() ? "" : ",",
                     R"({"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":")", key.id(),
                     R"(","x":")", absl::WebSafeBase64Escape(key.public_key()), R"(","host":")",
                     host, R"("})");
    }
  }
  return StrCat(R"({"keys":[)", keys, "]}");
}

}  // namespace sallyport
