// UTF-8, for what yaml-cpp and protobuf take on trust.

#ifndef SALLYPORT_CLI_YAML_UTF8_H_
#define SALLYPORT_CLI_YAML_UTF8_H_

#include <cstddef>
#include <string_view>

namespace sallyport::yaml {

// Length of the sequence at the front of `text` (RFC 3629); 0: it is not UTF-8. REQUIRES: `text` is
// not empty.
size_t Utf8Length(std::string_view text);

}  // namespace sallyport::yaml

#endif  // SALLYPORT_CLI_YAML_UTF8_H_
