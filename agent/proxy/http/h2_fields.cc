#include "agent/proxy/http/h2_fields.h"

#include "agent/proxy/http/characters.h"
#include "agent/proxy/http/serialize.h"

namespace sallyport::proxy {
namespace {

bool IsWrittenElsewhere(std::string_view name) {
  switch (name.size()) {
    case 2:
      return EqualsIgnoreCase(name, "te");
    case 4:
      return EqualsIgnoreCase(name, "host");
    case 14:
      return EqualsIgnoreCase(name, "content-length") || EqualsIgnoreCase(name, "http2-settings");
    default:
      return false;
  }
}

}  // namespace

bool IsConnectionSpecific(std::string_view name) {
  switch (name.size()) {
    case 7:
      return EqualsIgnoreCase(name, "upgrade");
    case 10:
      return EqualsIgnoreCase(name, "connection") || EqualsIgnoreCase(name, "keep-alive");
    case 16:
      return EqualsIgnoreCase(name, "proxy-connection");
    case 17:
      return EqualsIgnoreCase(name, "transfer-encoding");
    default:
      return false;
  }
}

void AppendH2Fields(const Headers& fields, Headers* list) {
  list->Reserve(list->fields().size() + fields.fields().size() + 1);
  for (const Header& field : fields.fields()) {
    if (IsConnectionSpecific(field.name) || IsWrittenElsewhere(field.name)) continue;
    if (IsLegalHeader(field.name, field.value)) list->Add(field.name, TrimWhiteSpace(field.value));
  }
}

void AppendContentLength(uint64_t length, Headers* list) {
  std::string text;
  AppendNumber(length, 10, &text);
  list->Add("content-length", text);
}

}  // namespace sallyport::proxy
