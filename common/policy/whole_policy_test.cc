#include "common/policy/whole_policy.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <string>

#include "common/policy/policy_testing.h"

namespace sallyport {
namespace {

TEST(WholePolicyTest, EverythingIsNormalised) {
  auto policy = FromText<v1::ApplyPolicyRequest>(
      "handlers { name: 'h' endpoints: 'GRPC://H:1' }"
      "classes { name: 'c' denied_hosts { hosts: 'A.' } }"
      "containers { container_id: 'i' class_name: 'c'"
      "  outbound_by_host { host: 'B' handler { handler: 'h' } } }");
  Problems problems;
  NormalisePolicy(&policy, &problems);
  ASSERT_TRUE(problems.empty()) << problems.ToStatus();
  EXPECT_EQ(policy.handlers(0).endpoints(0), "grpc://h:1");
  EXPECT_EQ(policy.classes(0).denied_hosts().hosts(0), "a");
  EXPECT_EQ(policy.containers(0).outbound_by_host(0).host(), "b");
}

TEST(WholePolicyTest, EveryWrongFieldHasALine) {
  auto policy = FromText<v1::ApplyPolicyRequest>(
      "handlers { name: 'h' endpoints: 'h' } handlers { name: 'h' endpoints: 'grpc://h:1' timeout "
      "{} }"
      "classes { name: 'c' }"
      "classes { name: 'd' denied_hosts { hosts: 'ok' hosts: 'x:1' } http_ports: 0 }"
      "classes { name: 'c' denied_hosts { hosts: '.evil.com' } }"
      "containers { container_id: 'i/1' outbound { handler: '' } }");
  Problems problems;
  NormalisePolicy(&policy, &problems);
  std::string paths;
  for (const FieldProblem& problem : problems.first()) paths += problem.path + "\n";
  EXPECT_EQ(paths,
            "handlers[0].endpoints[0]\n"
            "handlers[1].timeout\n"
            "handlers[1].name\n"
            "classes[1].denied_hosts[1]\n"
            "classes[1].http_ports[0]\n"
            "classes[2].denied_hosts[0]\n"
            "classes[2].name\n"
            "containers[0].class_name\n"
            "containers[0].container_id\n"
            "containers[0].outbound.handler\n");
  ExpectMessage(problems.ToStatus(), "classes[2].name: \"c\" is given by classes[0] already");
}

}  // namespace
}  // namespace sallyport
