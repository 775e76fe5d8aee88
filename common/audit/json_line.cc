#include "common/audit/json_line.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/audit/json_text.h"

namespace sallyport {

using google::protobuf::FieldDescriptor;

std::string ToJsonLine(const v1::AuditRecord& record) {
  const google::protobuf::Reflection& fields = *record.GetReflection();
  std::vector<const FieldDescriptor*> present;
  fields.ListFields(record, &present);
  std::string line = "{";
  for (const FieldDescriptor* field : present) {
    line.append(line.size() == 1 ? "\"" : ",\"").append(field->json_name()).append("\":");
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_UINT32:
        absl::StrAppend(&line, fields.GetUInt32(record, field));
        break;
      case FieldDescriptor::CPPTYPE_UINT64:
        absl::StrAppend(&line, fields.GetUInt64(record, field));
        break;
      case FieldDescriptor::CPPTYPE_BOOL:
        line.append("true");
        break;
      default:
        line.push_back('"');
        AppendJsonText(fields.GetString(record, field), &line);
        line.push_back('"');
    }
  }
  return line + "}";
}

}  // namespace sallyport
