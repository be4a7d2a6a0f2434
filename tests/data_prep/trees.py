"""Small trees of each data set's native layout with drawn faces, for tests of the commands that read them."""

import csv

import cv2
import numpy as np

from rac_unet.synthesis.toys.face import draw_face

RAFDB = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
AFFECTNET = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
FER2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")


def face(number, emotion="neutral", size=100):
    """A face from edge to edge, (size, size, 3) RGB; each number is another person."""
    return draw_face(number, emotion, number, size).image


def photo(number, emotion="neutral", size=160, border=40):
    """A face with a margin, and its 68 landmarks."""
    drawn = draw_face(number, emotion, number, size)
    image = cv2.copyMakeBorder(drawn.image, border, border, border, border, cv2.BORDER_REPLICATE)
    return image, drawn.points + border


def save(path, image, content=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if content is None:
        content = cv2.imencode(path.suffix, np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
        content = content.tobytes()
    path.write_bytes(content)
    return path


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def reasons(output):
    """Return name -> reason of skipped.csv."""
    return {row["path"]: row["reason"] for row in table(output / "skipped.csv")}


def rafdb_native(root, count=14, original=False):
    """basic/ with `count` photos, emotions repeated in RAF-DB's order, every seventh a test photo."""
    base, lines = root / "basic", []
    for number in range(count):
        split = "test" if number % 7 == 6 else "train"
        name, emotion = f"{split}_{number:05d}", RAFDB[number % 7]
        save(base / f"Image/aligned/{name}_aligned.jpg", face(number, emotion))
        if original:
            image, points = photo(number, emotion)
            save(base / f"Image/original/{name}.jpg", np.hstack([image, photo(number + 500)[0]]))
            five = [points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]]
            notes = base / f"Annotation/manual/{name}_manu_attri.txt"
            notes.parent.mkdir(parents=True, exist_ok=True)
            notes.write_text("".join(f"{x:.2f}\t{y:.2f}\n" for x, y in five) + "0\n1\n2\n")
        lines.append(f"{name}.jpg {RAFDB.index(emotion) + 1}")
    (base / "EmoLabel").mkdir(parents=True)
    (base / "EmoLabel/list_patition_label.txt").write_text("\n".join(lines) + "\n")
    return base


def rafdb_repack(root, count=14):
    """DATASET/{train,test}/{1..7} with its label tables."""
    rows = {"train": [], "test": []}
    for number in range(count):
        split, label = "test" if number % 7 == 6 else "train", number % 7 + 1
        name = f"{split}_{number:05d}_aligned.jpg"
        save(root / f"DATASET/{split}/{label}/{name}", face(number, RAFDB[label - 1]))
        rows[split].append(f"{name},{label}")
    for split, lines in rows.items():
        (root / f"{split}_labels.csv").write_text("image,label\n" + "\n".join(lines) + "\n")
    return root / "DATASET"


def rafdb_sorted(root, count=14):
    """{train,test}/{masked,unmasked}/{0..6}; also the exact mask of each pair: name -> occlusion."""
    from rac_unet.synthesis.masks.painting import STYLES, paint_mask

    hidden = {}
    for number in range(count):
        split, label = "test" if number % 7 == 6 else "train", number % 7
        drawn = draw_face(number, RAFDB[label], number, 128)
        masked = paint_mask(drawn.image, drawn.points, STYLES[number % len(STYLES)], number)
        save(root / f"{split}/unmasked/{label}/{number}.jpg", drawn.image)
        save(root / f"{split}/masked/{label}/{number}.jpg", masked.image)
        hidden[number] = masked.occlusion
    return root, hidden


def affectnet_arrays(root, count=16):
    """{train_set,val_set}/{images,annotations}, expressions 0..7 repeated, every eighth in val_set."""
    for number in range(count):
        base = root / ("val_set" if number % 8 == 6 else "train_set")
        image, points = photo(number, AFFECTNET[number % 7])
        save(base / f"images/{number}.jpg", image)
        (base / "annotations").mkdir(exist_ok=True)
        np.save(base / f"annotations/{number}_exp.npy", np.array(str(number % 8)))
        np.save(base / f"annotations/{number}_lnd.npy", points.ravel().astype(float))
    return root


def affectnet_tables(root, count=16):
    """training.csv with a header, validation.csv without, images in folders below Manually_Annotated_Images."""
    header = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
    lines = {"training.csv": [header], "validation.csv": []}
    for number in range(count):
        image, points = photo(number, AFFECTNET[number % 7])
        name = f"{number % 3}/{number:04x}.jpg"
        save(root / f"Manually_Annotated/Manually_Annotated_Images/{name}", image)
        landmarks = ";".join(f"{value:.2f}" for value in points.ravel())
        table_name = "validation.csv" if number % 8 == 6 else "training.csv"
        lines[table_name].append(f"{name},40,40,160,160,{landmarks},{number % 8},0.1,0.2")
    for name, rows in lines.items():
        (root / name).write_text("\n".join(rows) + "\n")
    return root


def fer2013_table(path, count=14, header="emotion,pixels,Usage"):
    """fer2013.csv, labels 0..6 repeated, every fifth PublicTest, every seventh PrivateTest."""
    lines, names = [header], [name.strip().lower() for name in header.split(",")]
    for number in range(count):
        grey = cv2.cvtColor(face(number, FER2013[number % 7], 96), cv2.COLOR_RGB2GRAY)
        grey = cv2.resize(grey, (48, 48), interpolation=cv2.INTER_AREA)
        usage = "PublicTest" if number % 5 == 4 else "PrivateTest" if number % 7 == 6 else "Training"
        cells = {"emotion": str(number % 7), "pixels": " ".join(map(str, grey.ravel())), "usage": usage}
        lines.append(",".join(cells[name] for name in names))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path
