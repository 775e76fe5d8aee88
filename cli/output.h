// What commands print.

#ifndef SALLYPORT_CLI_OUTPUT_H_
#define SALLYPORT_CLI_OUTPUT_H_

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "proto/sallyport/v1/admin.pb.h"

namespace sallyport::cli {

// The message as one line of JSON with the protocol's JSON names, default values included.
std::string ToJson(const google::protobuf::Message& message);
void PrintJson(const google::protobuf::Message& message);

// "revision 42, enforced on host-7 in 2.1 ms", or what is the case instead.
std::string Describe(const v1::MutationResult& result);

// "github.com, *.example.com", "nothing", or "-" for no list.
std::string Describe(const v1::HostList* list);

// "class untrusted-agent".
std::string Describe(const v1::ResourceKey& key);

// `handler {"scope":"repo:read"}`, without the params if there are none.
std::string Describe(const v1::HandlerReference& reference);

// Reads a JSON object, as for --params. INVALID_ARGUMENT says what is wrong with it.
absl::StatusOr<google::protobuf::Struct> ParseParams(const std::string& json);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_OUTPUT_H_
