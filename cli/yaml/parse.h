// Text to tree. yaml-cpp does the reading; this is strict where yaml-cpp is not.

#ifndef SALLYPORT_CLI_YAML_PARSE_H_
#define SALLYPORT_CLI_YAML_PARSE_H_

#include <optional>
#include <string>

#include "cli/yaml/node.h"

namespace sallyport::yaml {

inline constexpr size_t kMaxBytes = 64 << 20;
// Values, those that aliases repeat included.
inline constexpr size_t kMaxNodes = 2'000'000;
inline constexpr size_t kMaxDepth = 100;

// One document. nullopt: it cannot be read, the last problem says why. Else there may be problems
// too, and what they are about is left out: duplicate keys, keys that are no text, tags. Aliases
// are put in place. Bytes that are not UTF-8, control characters and a second document are refused.
std::optional<Node> Parse(const std::string& text, Problems* problems);

}  // namespace sallyport::yaml

#endif  // SALLYPORT_CLI_YAML_PARSE_H_
