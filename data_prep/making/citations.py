"""BibTeX citations of the sources."""

CITATIONS = {
    "rafdb": """@inproceedings{li2017reliable,
  title={Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in the Wild},
  author={Li, Shan and Deng, Weihong and Du, JunPing},
  booktitle={Proceedings of the IEEE Conference on Computer Vision and Pattern Recognition (CVPR)},
  pages={2852--2861},
  year={2017}
}""",
    "affectnet": """@article{mollahosseini2019affectnet,
  title={AffectNet: A Database for Facial Expression, Valence, and Arousal Computing in the Wild},
  author={Mollahosseini, Ali and Hasani, Behzad and Mahoor, Mohammad H.},
  journal={IEEE Transactions on Affective Computing},
  volume={10},
  number={1},
  pages={18--31},
  year={2019}
}""",
    "fer2013": """@inproceedings{goodfellow2013challenges,
  title={Challenges in Representation Learning: A Report on Three Machine Learning Contests},
  author={Goodfellow, Ian J. and others},
  booktitle={Neural Information Processing (ICONIP)},
  pages={117--124},
  year={2013}
}""",
}


def cite(sources: list[str]) -> str:
    """Return the BibTeX of the sources that have a citation."""
    return "\n\n".join(CITATIONS[source] for source in sorted(set(sources)) if source in CITATIONS)
