// A class with the allow list that was found, as a policy file.

#ifndef SALLYPORT_CLI_SUGGEST_SUGGESTION_H_
#define SALLYPORT_CLI_SUGGEST_SUGGESTION_H_

#include <string>
#include <vector>

#include "cli/suggest/allow_list.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport::cli {

// `value` with its `allowed_hosts` replaced.
v1::ContainerClass WithAllowList(v1::ContainerClass value, const std::vector<AllowEntry>& list);

// That class as YAML for `sallyport apply`. Comments say which hosts a pattern stands for.
std::string SuggestionYaml(const v1::ContainerClass& value, const std::vector<AllowEntry>& list);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_SUGGEST_SUGGESTION_H_
