#include "agent/attach/oci/image_annotations.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// github.com/containers/storage: below its root, with a driver's name,
//   DRIVER-containers/containers.json      what each container is made of
//   DRIVER-containers/volatile-containers.json
//                                          the same of those of `run --rm`, with newer podman
//   DRIVER-containers/ID/userdata          a container's bundle
//   DRIVER-images/IMAGE/manifest           an image's manifest; others of it have names of their
//                                          own, `manifest-…` in base64 behind a `=`
constexpr std::string_view kContainers = "-containers";
constexpr std::string_view kManifest = "manifest";
constexpr std::string_view kManifestInBase64 = "=bWFuaWZlc3Qt";

absl::Status CannotTell(std::string_view why) {
  return absl::FailedPreconditionError(
      StrCat("it cannot be told whether the annotations are the image's: ", why));
}

// Discarded if it is not JSON.
Json ReadJson(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return Json::parse(std::string(std::istreambuf_iterator<char>(file), {}), nullptr,
                     /*allow_exceptions=*/false);
}

std::string TextOf(const Json& object, const char* name) {
  if (!object.is_object()) return "";
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// Nothing if the container is not in the table; the empty text if it is of no image.
std::optional<std::string> ImageOf(const Json& table, const std::string& container_id) {
  if (!table.is_array()) return std::nullopt;
  for (const Json& entry : table) {
    if (TextOf(entry, "id") == container_id) return TextOf(entry, "image");
  }
  return std::nullopt;
}

// Of both tables; a container is in one.
std::optional<std::string> ImageOf(const fs::path& containers, const std::string& container_id) {
  std::optional<std::string> image =
      ImageOf(ReadJson(containers / "containers.json"), container_id);
  if (image.has_value()) return image;
  return ImageOf(ReadJson(containers / "volatile-containers.json"), container_id);
}

bool HasOurAnnotations(const Json& manifest) {
  if (!manifest.is_object()) return false;
  const auto annotations = manifest.find("annotations");
  if (annotations == manifest.end() || !annotations->is_object()) return false;
  for (const auto& [name, value] : annotations->items()) {
    if (absl::StartsWith(name, "sallyport.")) return true;
  }
  return false;
}

absl::Status CheckImage(const fs::path& image) {
  std::error_code error;
  bool has_manifest = false;
  for (const auto& entry : fs::directory_iterator(image, error)) {
    const std::string name = entry.path().filename().string();
    if (name != kManifest && !absl::StartsWith(name, ToAbsl(kManifestInBase64))) continue;
    const Json manifest = ReadJson(entry.path());
    if (manifest.is_discarded())
      return CannotTell(StrCat(Quote(entry.path().string()), " is not to be read"));
    has_manifest = true;
    if (HasOurAnnotations(manifest)) {
      return absl::PermissionDeniedError(
          "the image itself has annotations that begin with \"sallyport.\"; a container's class "
          "and id are for whoever runs it to say, so remove them from the image");
    }
  }
  if (error || !has_manifest) return CannotTell(StrCat(Quote(image.string()), " has no manifest"));
  return absl::OkStatus();
}

}  // namespace

bool IsPodmanBundle(const std::string& container_id, const std::string& bundle) {
  const fs::path path(bundle);
  const fs::path folder = path.parent_path();
  return path.filename() == "userdata" && folder.filename() == container_id &&
         absl::EndsWith(folder.parent_path().filename().string(), ToAbsl(kContainers));
}

absl::Status CheckImageAnnotations(const std::string& container_id, const std::string& bundle) {
  if (!IsPodmanBundle(container_id, bundle)) return absl::OkStatus();
  const fs::path containers = fs::path(bundle).parent_path().parent_path();
  const std::string name = containers.filename().string();
  const absl::string_view driver = absl::StripSuffix(name, ToAbsl(kContainers));
  const std::optional<std::string> image = ImageOf(containers, container_id);
  if (!image.has_value())
    return CannotTell(StrCat("the container is not in podman's ", Quote(containers.string())));
  if (image->empty()) return absl::OkStatus();
  return CheckImage(containers.parent_path() / StrCat(driver, "-images") / *image);
}

}  // namespace sallyport::agent
