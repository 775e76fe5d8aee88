#include "cli/policy/read.h"

namespace sallyport::cli {

using yaml::Node;

void ReadHandlerTls(const Node& node, FieldReader* reader, v1::HandlerTls* tls) {
  reader->Mapping(
      node, "tls", "tls",
      {{"ca_certificates",
        [&](const Node& value) { tls->set_ca_certificates(reader->Text(value)); }},
       {"client_certificate",
        [&](const Node& value) { tls->set_client_certificate(reader->Boolean(value)); }},
       {"server_name", [&](const Node& value) { tls->set_server_name(reader->Text(value)); }}});
}

void ReadIdentityToken(const Node& node, FieldReader* reader, v1::IdentityToken* token) {
  reader->Mapping(
      node, "identity_token", "identity_token",
      {{"audience", [&](const Node& value) { token->set_audience(reader->Text(value)); }},
       {"ttl", [&](const Node& value) { ReadDuration(value, reader, token->mutable_ttl()); }}});
}

}  // namespace sallyport::cli
