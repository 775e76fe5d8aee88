// Reader of cases.json: what a policy, some calls and one request of the container must come to.
// The same cases drive the decision engine alone and the whole system.

#ifndef SALLYPORT_TESTS_CONFORMANCE_CASES_H_
#define SALLYPORT_TESTS_CONFORMANCE_CASES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport::conformance {

// One call at run time; `arguments` are those after the container, as in the file.
struct Step {
  std::string rpc;
  google::protobuf::ListValue arguments;
};

struct Request {
  // "http", "https", or "tcp": bytes that are neither.
  std::string scheme;
  // As sent; unset: none.
  std::optional<std::string> host;
  // Unset: the ClientHello has none.
  std::optional<std::string> sni;
  // The address that the container dials.
  std::string dst;
  uint16_t port = 0;
  std::string method = "GET";
  // In absolute form; unset: origin form.
  std::optional<std::string> target;
};

struct Expect {
  std::string outcome;
  int status = 0;
  std::string reason;
  std::string handler;
  std::optional<google::protobuf::Struct> params;
  // "interception" or "origin"; empty: not looked at.
  std::string certificate;
  // For rpc_rejected and class_rejected.
  std::string code;
  int step = -1;
};

struct Case {
  std::string id;
  // Its name is "conformance".
  v1::ContainerClass container_class;
  std::vector<Step> steps;
  Request request;
  Expect expect;
  // Every handler that the case names, except `nope`.
  absl::flat_hash_set<std::string> handlers;
};

// Unknown fields are errors: a case that says more than is read would pass for the wrong reason.
absl::StatusOr<std::vector<Case>> LoadCases(const std::string& path);

}  // namespace sallyport::conformance

#endif  // SALLYPORT_TESTS_CONFORMANCE_CASES_H_
