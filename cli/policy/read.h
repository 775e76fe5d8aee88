// Parts of a policy file to protobuf. Whether the values are legal is not looked at.

#ifndef SALLYPORT_CLI_POLICY_READ_H_
#define SALLYPORT_CLI_POLICY_READ_H_

#include "cli/policy/field_reader.h"
#include "cli/yaml/node.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport::cli {

void Read(const yaml::Node& node, FieldReader* reader, v1::Handler* handler);
// "5s", "250ms", "2m".
void ReadDuration(const yaml::Node& node, FieldReader* reader,
                  google::protobuf::Duration* duration);
// What stands behind `tls:` and `identity_token:`.
void ReadHandlerTls(const yaml::Node& node, FieldReader* reader, v1::HandlerTls* tls);
void ReadIdentityToken(const yaml::Node& node, FieldReader* reader, v1::IdentityToken* token);
// What stands behind `builtin:`. Marks are set for paths that begin with `path`.
void ReadBuiltin(const yaml::Node& node, const std::string& path, FieldReader* reader,
                 v1::Builtin* builtin);
void Read(const yaml::Node& node, FieldReader* reader, v1::ContainerClass* value);
void Read(const yaml::Node& node, FieldReader* reader, v1::ContainerPolicy* value);

// `NAME`, or `{ handler: NAME, params: {…} }`.
void ReadReference(const yaml::Node& node, const std::string& path, FieldReader* reader,
                   v1::HandlerReference* reference);
// `{ host: PATTERN, handler: NAME, params: {…} }`, each.
void ReadRules(const yaml::Node& node, const std::string& path, FieldReader* reader,
               google::protobuf::RepeatedPtrField<v1::HostRule>* rules);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_POLICY_READ_H_
