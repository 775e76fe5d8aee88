#include "controlplane/fingerprint.h"

#include <google/protobuf/struct.pb.h>
#include <gtest/gtest.h>

#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport {
namespace {

v1::HostRequest Request(const std::string& host) {
  v1::HostRequest request;
  request.set_container_id("web-1");
  request.set_host(host);
  return request;
}

TEST(FingerprintTest, MethodAndContentCountAndOptionsDoNot) {
  const std::string print = Fingerprint("AllowHost", Request("a.com"));
  EXPECT_EQ(print.size(), 32u);
  EXPECT_NE(print, Fingerprint("DenyHost", Request("a.com")));
  EXPECT_NE(print, Fingerprint("AllowHost", Request("b.com")));
  v1::HostRequest with_options = Request("a.com");
  with_options.mutable_options()->set_expected_revision(7);
  EXPECT_EQ(print, Fingerprint("AllowHost", with_options));
}

// It is stored: the same in every process and version.
TEST(FingerprintTest, IsAsEver) {
  EXPECT_EQ(Fingerprint("AllowHost", v1::HostRequest()), "819cb33edd865489ca7e60814363014a");
}

TEST(FingerprintTest, OrderOfParamsDoesNotCount) {
  v1::SetOutboundHandlerRequest one;
  v1::SetOutboundHandlerRequest other;
  for (int i = 0; i < 100; ++i) {
    (*one.mutable_params()->mutable_fields())["k" + std::to_string(i)].set_number_value(i);
    (*other.mutable_params()->mutable_fields())["k" + std::to_string(99 - i)].set_number_value(99 -
                                                                                               i);
  }
  EXPECT_EQ(Fingerprint("SetOutboundHandler", one), Fingerprint("SetOutboundHandler", other));
}

}  // namespace
}  // namespace sallyport
