#include "absl/strings/numbers.h"
#include "cli/policy/read.h"
#include "common/policy/problems.h"
#include "common/policy/validate.h"

namespace sallyport::cli {
namespace {

using yaml::Node;

// A secret, or a text with how it is to be sent: `{ env: TOKEN, prefix: "Bearer " }`.
void ReadValueOf(const Node& node, const std::string& path, FieldReader* reader,
                 v1::SetHeader* header) {
  const auto source = [&](const Node& value, auto set) {
    if (header->source_case() != v1::SetHeader::SOURCE_NOT_SET)
      return reader->Fail(value, "write one of value, file, env and secret");
    set(reader->Text(value));
    reader->marks().Set(Member(path, "secret"), value.mark);
  };
  reader->Mapping(
      node, "a header", path,
      {{"value",
        [&](const Node& value) {
          source(value, [&](std::string text) { header->set_value(std::move(text)); });
        }},
       {"file",
        [&](const Node& value) {
          source(value, [&](std::string text) { header->mutable_secret()->set_file(text); });
        }},
       {"env",
        [&](const Node& value) {
          source(value, [&](std::string text) { header->mutable_secret()->set_env(text); });
        }},
       {"secret",
        [&](const Node& value) {
          source(value, [&](std::string text) { header->mutable_secret()->set_secret(text); });
        }},
       {"prefix", [&](const Node& value) { header->set_prefix(reader->Text(value)); }},
       {"basic_user", [&](const Node& value) { header->set_basic_user(reader->Text(value)); }},
       {"base64", [&](const Node& value) { header->set_base64(reader->Boolean(value)); }}});
}

void ReadSetHeaders(const Node& node, const std::string& path, FieldReader* reader,
                    google::protobuf::RepeatedPtrField<v1::SetHeader>* headers) {
  if (!node.is_mapping())
    return reader->Fail(node, "set_headers must be a mapping, as { x-team: core }");
  for (const Node& value : node.children) {
    const std::string element = Element(path, headers->size());
    reader->marks().Set(element, value.mark);
    reader->marks().Set(Member(element, "name"), value.key_mark);
    v1::SetHeader* const header = headers->Add();
    header->set_name(value.key);
    if (value.is_mapping()) {
      ReadValueOf(value, element, reader, header);
    } else {
      header->set_value(reader->Text(value));
    }
  }
}

void ReadRespond(const Node& node, const std::string& path, FieldReader* reader,
                 v1::FixedResponse* response) {
  const std::string of_headers = Member(path, "headers");
  const auto read_headers = [&](const Node& value) {
    if (!value.is_mapping())
      return reader->Fail(value, "headers must be a mapping, as { content-type: text/html }");
    for (const Node& one : value.children) {
      const std::string element = Element(of_headers, response->headers_size());
      reader->marks().Set(element, one.mark);
      reader->marks().Set(Member(element, "name"), one.key_mark);
      v1::ResponseHeader* const header = response->add_headers();
      header->set_name(one.key);
      header->set_value(reader->Text(one));
    }
  };
  reader->Mapping(
      node, "respond", path,
      {{"status", [&](const Node& value) { response->set_status(reader->Number(value)); }},
       {"headers", read_headers},
       {"body", [&](const Node& value) { response->set_body(reader->Text(value)); }}});
}

void ReadRateLimit(const Node& node, const std::string& path, FieldReader* reader,
                   v1::RateLimit* rate) {
  const auto read_rate = [&](const Node& value) {
    double number = 0;
    if (value.kind != Node::Kind::kPlain || !absl::SimpleAtod(value.text, &number))
      return reader->Fail(value, "expected a number, such as 10 or 0.5");
    rate->set_requests_per_second(number);
  };
  reader->Mapping(node, "rate_limit", path,
                  {{"requests_per_second", read_rate},
                   {"burst", [&](const Node& value) { rate->set_burst(reader->Number(value)); }}});
}

}  // namespace

void ReadBuiltin(const Node& node, const std::string& path, FieldReader* reader,
                 v1::Builtin* builtin) {
  const auto of = [&](const char* field) { return Member(path, field); };
  reader->Mapping(
      node, "a builtin", path,
      {{"allow_methods",
        [&](const Node& value) {
          reader->Texts(value, of("allow_methods"), builtin->mutable_allow_methods());
        }},
       {"allow_paths",
        [&](const Node& value) {
          reader->Texts(value, of("allow_paths"), builtin->mutable_allow_paths());
        }},
       {"set_headers",
        [&](const Node& value) {
          ReadSetHeaders(value, of("set_headers"), reader, builtin->mutable_set_headers());
        }},
       {"remove_headers",
        [&](const Node& value) {
          reader->Texts(value, of("remove_headers"), builtin->mutable_remove_headers());
        }},
       {"authority", [&](const Node& value) { builtin->set_authority(reader->Text(value)); }},
       {"scheme", [&](const Node& value) { builtin->set_scheme(reader->Text(value)); }},
       {"strip_path_prefix",
        [&](const Node& value) { builtin->set_strip_path_prefix(reader->Text(value)); }},
       {"add_path_prefix",
        [&](const Node& value) { builtin->set_add_path_prefix(reader->Text(value)); }},
       {"respond",
        [&](const Node& value) {
          ReadRespond(value, of("respond"), reader, builtin->mutable_respond());
        }},
       {"redirect",
        [&](const Node& value) {
          v1::Redirect* const redirect = builtin->mutable_redirect();
          reader->Mapping(
              value, "redirect", of("redirect"),
              {{"location", [&](const Node& text) { redirect->set_location(reader->Text(text)); }},
               {"status",
                [&](const Node& number) { redirect->set_status(reader->Number(number)); }}});
        }},
       {"rate_limit", [&](const Node& value) {
          ReadRateLimit(value, of("rate_limit"), reader, builtin->mutable_rate_limit());
        }}});
}

}  // namespace sallyport::cli
