// A handler's params between YAML and protobuf.

#ifndef SALLYPORT_CLI_POLICY_PARAMS_H_
#define SALLYPORT_CLI_POLICY_PARAMS_H_

#include <google/protobuf/struct.pb.h>

#include "cli/policy/field_reader.h"
#include "cli/yaml/node.h"

namespace sallyport::cli {

// What is not quoted is null, true, false or a decimal number if it looks so, else text.
void ReadParams(const yaml::Node& node, FieldReader* reader, google::protobuf::Struct* params);

// Keys are sorted. Reads back as the same. REQUIRES: all numbers are finite.
yaml::Node ParamsToYaml(const google::protobuf::Struct& params);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_POLICY_PARAMS_H_
