// Policies for tests, written as text protos.

#ifndef SALLYPORT_COMMON_POLICY_POLICY_TESTING_H_
#define SALLYPORT_COMMON_POLICY_POLICY_TESTING_H_

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>

#include "common/net/host.h"
#include "common/policy/effective_policy.h"

namespace sallyport {

template <typename Message>
Message FromText(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

// Class "c" and its container "i", each with these fields.
inline EffectivePolicy Given(const std::string& class_fields,
                             const std::string& container_fields = "") {
  const auto policy = EffectivePolicy::FromProto(
      FromText<v1::ContainerClass>("name: 'c' " + class_fields),
      FromText<v1::ContainerPolicy>("container_id: 'i' class_name: 'c' " + container_fields), 1);
  EXPECT_TRUE(policy.ok()) << policy.status();
  return policy.ok() ? *policy : EffectivePolicy();
}

inline Host HostOf(std::string_view text) {
  const auto host = Host::Parse(text);
  EXPECT_TRUE(host.ok()) << host.status();
  return host.ok() ? *host : Host();
}

inline IpAddress AddressOf(std::string_view text) {
  const auto address = IpAddress::Parse(text);
  EXPECT_TRUE(address.ok()) << address.status();
  return address.ok() ? *address : IpAddress();
}

// REQUIRES: `status` is an error.
inline void ExpectMessage(const absl::Status& status, std::string_view part) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_NE(status.ToString().find(part), std::string::npos) << status << " does not say: " << part;
}

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_POLICY_TESTING_H_
