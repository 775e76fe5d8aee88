#include "agent/attach/oci/image_annotations.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace sallyport::agent {
namespace {

namespace fs = std::filesystem;

// A storage of podman 4.3 with the container `c1` of the image `i1`.
class ImageAnnotationsTest : public testing::Test {
 protected:
  ImageAnnotationsTest() {
    std::string made = testing::TempDir() + "/storage.XXXXXX";
    root_ = mkdtemp(made.data());
    Write("overlay-containers/containers.json",
          R"([{"id":"c0","image":"i0"},{"id":"c1","image":"i1"},{"id":"c2","image":""}])");
    Write("overlay-images/i1/manifest", R"({"annotations":{"org.example":"x"}})");
    Write("overlay-images/i1/=c2hhMjU2", "not JSON");
  }
  void TearDown() override { fs::remove_all(root_); }

  void Write(const std::string& path, const std::string& content) {
    fs::create_directories(fs::path(root_ + "/" + path).parent_path());
    std::ofstream(root_ + "/" + path) << content;
  }
  absl::StatusCode Check(const std::string& id) const {
    return CheckImageAnnotations(id, root_ + "/overlay-containers/" + id + "/userdata").code();
  }

  std::string root_;
};

TEST_F(ImageAnnotationsTest, AnOrdinaryImagePasses) {
  EXPECT_EQ(Check("c1"), absl::StatusCode::kOk);
  Write("overlay-images/i1/manifest", "{}");
  EXPECT_EQ(Check("c1"), absl::StatusCode::kOk);
}

TEST_F(ImageAnnotationsTest, OneThatSpeaksOfUsDoesNot) {
  Write("overlay-images/i1/manifest", R"({"annotations":{"sallyport.id":"other"}})");
  EXPECT_EQ(Check("c1"), absl::StatusCode::kPermissionDenied);
}

TEST_F(ImageAnnotationsTest, AnyOfItsManifestsCounts) {
  Write("overlay-images/i1/=bWFuaWZlc3Qtc2hh", R"({"annotations":{"sallyport.class":"open"}})");
  EXPECT_EQ(Check("c1"), absl::StatusCode::kPermissionDenied);
}

TEST_F(ImageAnnotationsTest, WhatCannotBeToldDoesNotPass) {
  EXPECT_EQ(Check("c0"), absl::StatusCode::kFailedPrecondition);  // No such image.
  EXPECT_EQ(Check("c9"), absl::StatusCode::kFailedPrecondition);  // No such container.
  Write("overlay-images/i1/manifest", "{");
  EXPECT_EQ(Check("c1"), absl::StatusCode::kFailedPrecondition);
  fs::remove(root_ + "/overlay-images/i1/manifest");
  EXPECT_EQ(Check("c1"), absl::StatusCode::kFailedPrecondition);
  Write("overlay-containers/containers.json", "");
  EXPECT_EQ(Check("c1"), absl::StatusCode::kFailedPrecondition);
}

TEST_F(ImageAnnotationsTest, ContainersThatGoWithTheirEndHaveATableOfTheirOwn) {
  Write("overlay-containers/volatile-containers.json",
        R"([{"id":"r1","image":"i1"},{"id":"r0","image":"i0"}])");
  EXPECT_EQ(Check("r1"), absl::StatusCode::kOk);
  EXPECT_EQ(Check("r0"), absl::StatusCode::kFailedPrecondition);  // No such image.
  EXPECT_EQ(Check("r9"), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Check("c1"), absl::StatusCode::kOk);
  Write("overlay-images/i1/manifest", R"({"annotations":{"sallyport.id":"other"}})");
  EXPECT_EQ(Check("r1"), absl::StatusCode::kPermissionDenied);
  // With the other table gone, or never there.
  fs::remove(root_ + "/overlay-containers/containers.json");
  EXPECT_EQ(Check("r1"), absl::StatusCode::kPermissionDenied);
}

TEST_F(ImageAnnotationsTest, OneWithoutImageHasNoneOfItsAnnotations) {
  EXPECT_EQ(Check("c2"), absl::StatusCode::kOk);
}

TEST_F(ImageAnnotationsTest, OtherRuntimesBundlesPass) {
  EXPECT_TRUE(CheckImageAnnotations("c1", "/srv/bundles/c1").ok());
  EXPECT_TRUE(CheckImageAnnotations("c1", root_ + "/overlay-containers/c9/userdata").ok());
}

}  // namespace
}  // namespace sallyport::agent
