#include "cli/policy/params.h"
#include "cli/policy/read.h"
#include "common/base/strings.h"

namespace sallyport::cli {

using yaml::Node;

void ReadReference(const Node& node, const std::string& path, FieldReader* reader,
                   v1::HandlerReference* reference) {
  if (node.is_scalar()) {
    reference->set_handler(node.text);
    return;
  }
  reader->Mapping(
      node, "a handler reference", path,
      {{"handler", [&](const Node& value) { reference->set_handler(reader->Text(value)); }},
       {"params",
        [&](const Node& value) { ReadParams(value, reader, reference->mutable_params()); }}});
}

void ReadRules(const Node& node, const std::string& path, FieldReader* reader,
               google::protobuf::RepeatedPtrField<v1::HostRule>* rules) {
  reader->Sequence(node, path, [&](const Node& item, const std::string& item_path) {
    v1::HostRule* rule = rules->Add();
    v1::HandlerReference* reference = rule->mutable_handler();
    const bool is_mapping = reader->Mapping(
        item, "a rule", item_path,
        {{"host", [&](const Node& value) { rule->set_host(reader->Text(value)); }},
         {"handler", [&](const Node& value) { reference->set_handler(reader->Text(value)); }},
         {"params", [&](const Node& value) {
            reader->marks().Set(StrCat(item_path, ".handler.params"), value.mark);
            ReadParams(value, reader, reference->mutable_params());
          }}});
    if (is_mapping && (rule->host().empty() || reference->handler().empty()))
      reader->Fail(item, "a rule needs `host` and `handler`");
  });
}

}  // namespace sallyport::cli
