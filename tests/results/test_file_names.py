from maskrcnn.results.file_names import plain_name


def test_nothing_of_a_class_leaves_its_folder() -> None:
    assert (
        plain_name("../a b/ü") == "___a_b__" and len(plain_name("x" * 500)) == 60 and plain_name("ok-1_A") == "ok-1_A"
    )
