#include "agent/proxy/http/message.h"

#include <algorithm>
#include <utility>

#include "agent/proxy/http/characters.h"

namespace sallyport::proxy {
namespace {

// Meant for the next hop only, whether or not Connection names them.
bool IsAlwaysHopByHop(std::string_view name) {
  switch (name.size()) {
    case 2:
      return EqualsIgnoreCase(name, "te");
    case 7:
      return EqualsIgnoreCase(name, "trailer") || EqualsIgnoreCase(name, "upgrade");
    case 10:
      return EqualsIgnoreCase(name, "connection") || EqualsIgnoreCase(name, "keep-alive");
    case 14:
      return EqualsIgnoreCase(name, "http2-settings");
    case 16:
      return EqualsIgnoreCase(name, "proxy-connection");
    case 17:
      return EqualsIgnoreCase(name, "transfer-encoding");
    case 19:
      return EqualsIgnoreCase(name, "proxy-authorization");
    default:
      return false;
  }
}

// A client that could have these removed by naming them would change what the receiver reads.
bool IsNeverHopByHop(std::string_view name) {
  for (const std::string_view kept : {"host", "content-length", "authorization", "cookie"}) {
    if (EqualsIgnoreCase(name, kept)) return true;
  }
  return false;
}

}  // namespace

void Headers::Add(std::string_view name, std::string_view value) {
  fields_.push_back(Header{std::string(name), std::string(value)});
}

void Headers::Set(std::string_view name, std::string_view value) {
  Remove(name);
  Add(name, value);
}

void Headers::Remove(std::string_view name) {
  RemoveIf([name](const Header& field) { return EqualsIgnoreCase(field.name, name); });
}

const std::string* Headers::Find(std::string_view name) const {
  for (const Header& field : fields_) {
    if (EqualsIgnoreCase(field.name, name)) return &field.value;
  }
  return nullptr;
}

size_t Headers::Count(std::string_view name) const {
  return std::ranges::count_if(
      fields_, [name](const Header& field) { return EqualsIgnoreCase(field.name, name); });
}

bool Headers::HasToken(std::string_view name, std::string_view token) const {
  for (const Header& field : fields_) {
    if (!EqualsIgnoreCase(field.name, name)) continue;
    std::string_view list = field.value;
    while (!list.empty()) {
      if (EqualsIgnoreCase(TakeListElement(&list), token)) return true;
    }
  }
  return false;
}

void RemoveHopByHop(Headers* headers) {
  std::vector<std::string> named;
  for (const Header& field : headers->fields()) {
    if (!EqualsIgnoreCase(field.name, "connection")) continue;
    std::string_view list = field.value;
    while (!list.empty()) {
      const std::string_view name = TakeListElement(&list);
      if (name.empty() || EqualsIgnoreCase(name, "close") || IsAlwaysHopByHop(name) ||
          IsNeverHopByHop(name)) {
        continue;
      }
      named.emplace_back(name);
    }
  }
  headers->RemoveIf([&named](const Header& field) {
    if (IsAlwaysHopByHop(field.name)) return true;
    return std::ranges::any_of(
        named, [&field](const std::string& name) { return EqualsIgnoreCase(field.name, name); });
  });
}

bool IsToken(std::string_view text) { return !text.empty() && TokenLength(text) == text.size(); }

bool IsLegalHeader(std::string_view name, std::string_view value) {
  return IsToken(name) && value.find_first_of(std::string_view("\r\n\0", 3)) == value.npos;
}

}  // namespace sallyport::proxy
