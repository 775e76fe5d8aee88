#include "cli/policy/params.h"
#include "cli/policy/read.h"
#include "common/base/strings.h"

namespace sallyport::cli {
namespace {

using yaml::Node;

// A list hides the class's; `{ added: […], removed: […] }` edits it.
void ReadOverride(const Node& node, const std::string& path, FieldReader* reader,
                  v1::HostListOverride* list) {
  if (!node.is_mapping()) {
    reader->Texts(node, StrCat(path, ".replace"), list->mutable_replace()->mutable_hosts());
    return;
  }
  reader->Mapping(node, path, path,
                  {{"added",
                    [&](const Node& value) {
                      reader->Texts(value, StrCat(path, ".added"), list->mutable_added());
                    }},
                   {"removed", [&](const Node& value) {
                      reader->Texts(value, StrCat(path, ".removed"), list->mutable_removed());
                    }}});
}

void ReadScheme(const Node& node, FieldReader* reader, v1::InterceptRule* rule) {
  const std::string text = reader->Text(node);
  if (text == "http") {
    rule->set_scheme(v1::InterceptRule::SCHEME_HTTP);
  } else if (text == "https") {
    rule->set_scheme(v1::InterceptRule::SCHEME_HTTPS);
  } else {
    reader->Fail(node, "scheme is http or https");
  }
}

void ReadIntercept(const Node& node, const std::string& path, FieldReader* reader,
                   v1::InterceptRule* rule) {
  v1::HandlerReference* reference = rule->mutable_handler();
  bool has_scheme = false;
  const bool is_mapping = reader->Mapping(
      node, "an intercept", path,
      {{"scheme",
        [&](const Node& value) {
          has_scheme = true;
          ReadScheme(value, reader, rule);
        }},
       {"target", [&](const Node& value) { rule->set_target(reader->Text(value)); }},
       {"handler", [&](const Node& value) { reference->set_handler(reader->Text(value)); }},
       {"params", [&](const Node& value) {
          reader->marks().Set(StrCat(path, ".handler.params"), value.mark);
          ReadParams(value, reader, reference->mutable_params());
        }}});
  if (is_mapping && (!has_scheme || rule->target().empty() || reference->handler().empty()))
    reader->Fail(node, "an intercept needs `scheme`, `target` and `handler`");
}

}  // namespace

void Read(const Node& node, FieldReader* reader, v1::ContainerPolicy* value) {
  // Where a class that is missing is missed.
  reader->marks().Set("class_name", node.mark);
  const bool is_mapping = reader->Mapping(
      node, "a container", "",
      {{"class",
        [&](const Node& field) {
          reader->marks().Set("class_name", field.mark);
          value->set_class_name(reader->Text(field));
        }},
       {"enable_internet",
        [&](const Node& field) { value->set_enable_internet(reader->Boolean(field)); }},
       {"allowed_hosts",
        [&](const Node& field) {
          ReadOverride(field, "allowed_hosts", reader, value->mutable_allowed_hosts());
        }},
       {"denied_hosts",
        [&](const Node& field) {
          ReadOverride(field, "denied_hosts", reader, value->mutable_denied_hosts());
        }},
       {"outbound_by_host",
        [&](const Node& field) {
          ReadRules(field, "outbound_by_host", reader, value->mutable_outbound_by_host());
        }},
       {"outbound",
        [&](const Node& field) {
          ReadReference(field, "outbound", reader, value->mutable_outbound());
        }},
       {"intercepts", [&](const Node& field) {
          reader->Sequence(field, "intercepts", [&](const Node& item, const std::string& path) {
            ReadIntercept(item, path, reader, value->add_intercepts());
          });
        }}});
  if (is_mapping && value->class_name().empty()) reader->Fail(node, "a container needs `class`");
}

}  // namespace sallyport::cli
