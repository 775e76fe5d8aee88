#include "cli/policy/read.h"

namespace sallyport::cli {
namespace {

using yaml::Node;

void ReadDenyResponse(const Node& node, FieldReader* reader, v1::DenyResponse* response) {
  reader->Mapping(
      node, "deny_response", "deny_response",
      {{"status", [&](const Node& value) { response->set_status(reader->Number(value)); }},
       {"content_type",
        [&](const Node& value) { response->set_content_type(reader->Text(value)); }},
       {"body", [&](const Node& value) { response->set_body(reader->Text(value)); }}});
}

}  // namespace

void Read(const Node& node, FieldReader* reader, v1::ContainerClass* value) {
  reader->Mapping(
      node, "a class", "",
      {{"enable_internet",
        [&](const Node& field) { value->set_enable_internet(reader->Boolean(field)); }},
       {"intercept_https",
        [&](const Node& field) { value->set_intercept_https(reader->Boolean(field)); }},
       {"monitor", [&](const Node& field) { value->set_monitor(reader->Boolean(field)); }},
       {"allowed_hosts",
        [&](const Node& field) {
          reader->Texts(field, "allowed_hosts", value->mutable_allowed_hosts()->mutable_hosts());
        }},
       {"denied_hosts",
        [&](const Node& field) {
          reader->Texts(field, "denied_hosts", value->mutable_denied_hosts()->mutable_hosts());
        }},
       {"outbound_by_host",
        [&](const Node& field) {
          ReadRules(field, "outbound_by_host", reader, value->mutable_outbound_by_host());
        }},
       {"outbound",
        [&](const Node& field) {
          ReadReference(field, "outbound", reader, value->mutable_outbound());
        }},
       {"outbound_handlers",
        [&](const Node& field) {
          reader->Texts(field, "outbound_handlers",
                        value->mutable_outbound_handlers()->mutable_names());
        }},
       {"tls_passthrough_hosts",
        [&](const Node& field) {
          reader->Texts(field, "tls_passthrough_hosts", value->mutable_tls_passthrough_hosts());
        }},
       {"deny_response",
        [&](const Node& field) {
          ReadDenyResponse(field, reader, value->mutable_deny_response());
        }},
       {"http_ports", [&](const Node& field) {
          reader->Sequence(field, "http_ports", [&](const Node& item, const std::string&) {
            value->add_http_ports(reader->Number(item));
          });
        }}});
}

}  // namespace sallyport::cli
