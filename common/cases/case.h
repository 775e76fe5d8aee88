// A case: what a policy, some calls and one request of the container must come to. The same cases
// drive the decision engine alone (`sallyport test`) and the whole system.

#ifndef SALLYPORT_COMMON_CASES_CASE_H_
#define SALLYPORT_COMMON_CASES_CASE_H_

#include <google/protobuf/struct.pb.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport::cases {

// One call at run time; `arguments` are those after the container, as in the file.
struct Step {
  std::string rpc;
  google::protobuf::ListValue arguments;
  // Of ApplyClass.
  std::optional<v1::ContainerClass> container_class;
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

// Empty and zero: not looked at.
struct Expect {
  std::string outcome;
  int status = 0;
  std::string reason;
  std::string handler;
  std::optional<google::protobuf::Struct> params;
  // "interception" or "origin".
  std::string certificate;
  // For rpc_rejected and class_rejected.
  std::string code;
  std::optional<int> step;
};

struct Case {
  std::string id;
  // Where it begins in its file.
  int line = 0;
  int column = 0;
  // Its name is "conformance".
  v1::ContainerClass container_class;
  std::vector<Step> steps;
  Request request;
  Expect expect;
  // Every handler that the case names, except `nope`: they are registered.
  absl::flat_hash_set<std::string> handlers;
};

}  // namespace sallyport::cases

#endif  // SALLYPORT_COMMON_CASES_CASE_H_
