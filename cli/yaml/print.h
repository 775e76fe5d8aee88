// Tree to text that reads back as the same tree.

#ifndef SALLYPORT_CLI_YAML_PRINT_H_
#define SALLYPORT_CLI_YAML_PRINT_H_

#include <string>

#include "cli/yaml/node.h"

namespace sallyport::yaml {

// Ends with a newline. Marks play no part. REQUIRES: all text is UTF-8; what is inside a flow
// sequence or mapping has no comments.
std::string Print(const Node& node);

}  // namespace sallyport::yaml

#endif  // SALLYPORT_CLI_YAML_PRINT_H_
