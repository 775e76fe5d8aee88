#include "agent/proxy/handler_start.h"

#include "absl/strings/ascii.h"
#include "agent/proxy/egress.h"
#include "agent/proxy/forged_headers.h"

namespace sallyport::proxy {
namespace {

std::string_view HttpVersion(const Exchange& exchange) {
  if (exchange.client.http2) return "HTTP/2";
  return exchange.head.minor_version == 0 ? "HTTP/1.0" : "HTTP/1.1";
}

// The container's are from whoever started it, the rule's from whoever makes policy: those hold.
void SetParams(const google::protobuf::Struct* of_container, const HandlerReference& reference,
               v1::Context* context) {
  *context->mutable_params() = reference.params;
  if (of_container == nullptr) return;
  // What is there already stays.
  context->mutable_params()->mutable_fields()->insert(of_container->fields().begin(),
                                                      of_container->fields().end());
}

void SetContext(const Exchange& exchange, const AskedBy& by, v1::Context* context) {
  context->set_container_id(exchange.client.container->id());
  context->set_class_name(exchange.policy->class_name);
  context->set_handler(by.reference.handler);
  SetParams(exchange.client.container->params(), by.reference, context);
  context->set_rule(by.rule);
  context->set_policy_revision(exchange.policy->revision);
  context->set_request_id(exchange.request_id);
  context->set_dialled_address(DialledText(exchange.client.origin));
  context->set_dialled_port(exchange.client.origin.port);
  context->set_http_version(std::string(HttpVersion(exchange)));
  if (exchange.client.tls == nullptr) return;
  const TlsFacts& tls = *exchange.client.tls;
  context->set_tls_version(tls.version);
  // Without SNI, the address stands for the name; and SNI has no addresses (RFC 6066 section 3).
  if (!tls.name.is_address()) context->set_tls_server_name(tls.name.text());
}

}  // namespace

v1::HandleRequest StartMessage(const Exchange& exchange, const AskedBy& by) {
  v1::HandleRequest message;
  v1::RequestStart& start = *message.mutable_start();
  SetContext(exchange, by, start.mutable_context());
  const OriginRequest request = OriginRequestOf(exchange);
  start.set_method(request.method);
  start.set_scheme(std::string(SchemeName(request.scheme)));
  start.set_authority(Authority{request.host, request.port}.ToString(DefaultPort(request.scheme)));
  start.set_path(request.target);
  for (const Header& header : request.headers.fields()) {
    if (SaysWhoAsks(header.name)) continue;
    v1::Header* copy = start.add_headers();
    copy->set_name(absl::AsciiStrToLower(header.name));
    copy->set_value(header.value);
  }
  start.set_has_body(exchange.head.framing != BodyFraming::kNone);
  if (exchange.head.framing == BodyFraming::kLength)
    start.set_content_length(exchange.head.content_length);
  return message;
}

}  // namespace sallyport::proxy
